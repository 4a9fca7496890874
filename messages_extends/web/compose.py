"""The pages for composing a message: the form, the confirmation and sending."""

import uuid

from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from messages_extends.access.policy import policy
from messages_extends.exceptions import RecipientUnavailable
from messages_extends.links import reverse_page
from messages_extends.models import Message
from messages_extends.sending.messages import send, send_once
from messages_extends.sending.recipients import inactive_in
from messages_extends.web.forms import ComposeForm
from messages_extends.web.pickers import Choice, Picker, first_results, found_response, group_choice, person_choice
from messages_extends.web.refusals import refused
from messages_extends.web.requests import form_number, login_to_read, reader_of, require_reader
from messages_extends.web.search import MAX_RESULTS, clean_search, search_groups, search_people


@never_cache
@login_to_read
@require_http_methods(["GET", "HEAD", "POST"])
def compose(request: HttpRequest) -> HttpResponse:
    """Show the form, the confirmation, send a test or send the message, depending on the button."""
    sender = reader_of(request)
    _require_may_compose(sender)
    if request.method != "POST":
        return _form_page(request, ComposeForm(sender=sender))
    step = request.POST.get("step")
    form = ComposeForm(request.POST, sender=sender, checks=step not in ("search", "back"))
    if not form.checks:
        return _form_page(request, form)
    if not form.is_valid():
        return _form_page(request, form, status=400)
    number = form_number(request)
    if step == "test":
        number = number or uuid.uuid4()
        # With a key, so that a double click sends one test.
        send(sender, **form.text, sender=sender, key=f"test:{number}")
        note = gettext("A test was sent to you alone. It is in your inbox.")
        return _confirm(request, form, number=number, note=note)
    if step == "send" and number:
        return _send(request, form, number)
    return _confirm(request, form)


@require_safe
@never_cache
def recipients(request: HttpRequest) -> HttpResponse:
    """Return the matching recipients, and with `groups=1` groups, to whom the user may write, as JSON."""
    sender = require_reader(request)
    _require_may_compose(sender)
    search = clean_search(request.GET.get("q", ""))
    return found_response(_found(sender, search, with_groups=request.GET.get("groups") == "1"))


def _require_may_compose(sender: AbstractBaseUser) -> None:
    if not policy().may_compose(sender):
        raise PermissionDenied("You may not write to anybody.")


def _found(sender: AbstractBaseUser, search: str, *, with_groups: bool) -> list[Choice]:
    """Return the results of a search, one more than are shown if there are more."""
    groups = search_groups(search, policy().reachable_groups(sender))[: MAX_RESULTS + 1] if with_groups else ()
    people = search_people(search, policy().reachable_people(sender))[: MAX_RESULTS + 1]
    return [*(group_choice(group, "groups") for group in groups), *(person_choice(each, "people") for each in people)]


# The steps ----------------------------------------------------------------------------------------------------------


def _form_page(request: HttpRequest, form: ComposeForm, status: int = 200) -> HttpResponse:
    searches_groups = form.few_groups is None
    chosen = [person_choice(person, "people") for person in form.picked_people]
    if searches_groups:
        chosen = [*(group_choice(group, "groups") for group in form.picked_groups), *chosen]
    found, more = (None, False)
    if not form.checks and form.search:
        others = _found(form.sender, form.search, with_groups=searches_groups)
        found, more = first_results([choice for choice in others if choice not in chosen])
    picker = Picker(
        id="id_people",
        label=gettext("People and groups") if searches_groups else gettext("People"),
        search_name="q",
        url=reverse_page("message_recipients") + ("?groups=1" if searches_groups else ""),
        several=True,
        search=form.search,
        hint=gettext("Search by name or e-mail address."),
        chosen=chosen,
        found=found,
        more=more,
        errors=[str(error) for error in form.errors.get("people", ())],
    )
    context = {"form": form, "picker": picker, "draft": Message(sender=form.sender)}
    return render(request, "messages_extends/compose.html", context, status=status)


def _confirm(
    request: HttpRequest, form: ComposeForm, *, number: uuid.UUID | None = None, note: str = ""
) -> HttpResponse:
    """Show the message and the number of recipients. The page's UUID prevents sending it twice."""
    text = form.text
    context = {
        "form": form,
        "number": number or uuid.uuid4(),
        "note": note,
        "message": Message(level=text["level"], message=text["message"], url=text["url"], sender=form.sender),
        "left_out": inactive_in(form.picked_groups).distinct().count(),
        "with_oneself": form.recipients.users.filter(pk=form.sender.pk).exists(),
    }
    return render(request, "messages_extends/compose_confirm.html", context)


def _send(request: HttpRequest, form: ComposeForm, number: uuid.UUID) -> HttpResponse:
    try:
        sent = send_once(number, form.recipients, **form.text, sender=form.sender)
    except (PermissionDenied, ValueError) as error:
        # The form was valid: somebody was deleted or deactivated meanwhile, or a time has passed.
        gone = gettext("The sender is inactive or not a member of this organisation.")
        if isinstance(error, PermissionDenied):
            form.add_error(None, str(error) or gone)
        elif isinstance(error, RecipientUnavailable):
            form.add_error(None, gone)
        elif form.cleaned_data["expires"] is not None:
            form.add_error("expires", gettext("Enter a time in the future."))
        else:
            raise
        return refused(_form_page(request, form), error)
    if sent.is_duplicate:
        level = messages.INFO
        text = ngettext(
            "This has already been sent to %(count)s person. It was not sent again.",
            "This has already been sent to %(count)s people. It was not sent again.",
            sent.count,
        )
    else:
        level = messages.SUCCESS
        text = ngettext("Sent to %(count)s person.", "Sent to %(count)s people.", sent.count)
    messages.add_message(request, level, text % {"count": sent.count})
    return HttpResponseRedirect(reverse_page("inbox"))
