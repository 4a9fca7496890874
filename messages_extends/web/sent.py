"""The pages about what a user has sent, and the recall of what nobody has read yet."""

from contextlib import suppress

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from messages_extends.exceptions import NoSuchMessage, NotRecallable
from messages_extends.inbox.cursor import Cursor
from messages_extends.inbox.sent import SentMessages
from messages_extends.links import reverse_page
from messages_extends.sending.cleaning import shown_zone
from messages_extends.sending.recall import was_recalled
from messages_extends.tenancy.databases import reading_from_primary
from messages_extends.web.requests import login_to_read, reader_of


class SentForm(forms.Form):
    """The parameter of the page: where it begins."""

    after = forms.CharField(max_length=100, required=False)

    def clean_after(self) -> str:
        after: str = self.cleaned_data["after"]
        try:
            is_valid = not after or Cursor.parse(after).kind == "message"
        except ValueError:
            is_valid = False
        if not is_valid:
            raise forms.ValidationError(_("This page does not exist. Go back to the first one."))
        return after


@require_safe
@never_cache
@login_to_read
def message_sent(request: HttpRequest) -> HttpResponse:
    form = SentForm(request.GET)
    is_valid = form.is_valid()
    after = form.cleaned_data.get("after", "")
    page = SentMessages(reader_of(request)).page(after)
    address = reverse_page("message_sent")
    context = {
        "form": form,
        "entries": page.entries,
        "first": address if after else "",
        "next": f"{address}?after={page.next}" if page.next else "",
        "zone": str(shown_zone()),
    }
    return render(request, "messages_extends/sent.html", context, status=200 if is_valid else 400)


@never_cache
@login_to_read
@require_http_methods(["GET", "HEAD", "POST"])
def message_recall(request: HttpRequest, message_id: int) -> HttpResponse:
    """Ask before it deletes a message for all of its recipients."""
    sender = reader_of(request)
    sent, is_recalled = SentMessages(sender), False
    try:
        if request.method == "POST":
            # Somebody may have read the message since the page was shown.
            with suppress(NotRecallable):
                sent.recall(message_id)
                is_recalled = True
        if not is_recalled:
            # A replica may not know yet that somebody has read it.
            with reading_from_primary():
                context = {"sent": sent.get(message_id)}
                status = 409 if request.method == "POST" else 200
                return render(request, "messages_extends/sent_recall.html", context, status=status)
    except NoSuchMessage as error:
        # Also after a double click, or on the way back in the browser.
        if not was_recalled(message_id, sender=sender):
            raise Http404("You have sent no such message.") from error
    messages.success(request, gettext("The message has been recalled."))
    return HttpResponseRedirect(reverse_page("message_sent"))
