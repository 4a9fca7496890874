"""Pages for logging in and out, passwords and invitations."""

import logging
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth import login, views
from django.contrib.auth.mixins import PermissionRequiredMixin
from django.contrib.messages.views import SuccessMessageMixin
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView, View

from tenants.background import RedirectAndAct
from tenants.people.attempts import Attempt, Kind, TooManyAttempts
from tenants.people.forms import AcceptanceForm, InvitationForm, LoginForm, too_many_emails
from tenants.people.invitations import AlreadyHere, accept, find_invitation, invite
from tenants.people.mail import MailNotSent
from tenants.people.models import Invitation, User
from tenants.people.passwords import send_link_if_known
from tenants.people.tokens import password_tokens

logger = logging.getLogger(__name__)

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


class LoginView(views.LoginView):
    template_name = "people/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True

    def form_invalid(self, form: Any) -> HttpResponse:
        page = super().form_invalid(form)
        if form.retry_after:
            page.status_code = 429
            page["Retry-After"] = str(form.retry_after)
        return page


class PasswordChangeView(SuccessMessageMixin, views.PasswordChangeView):  # type: ignore[type-arg]
    template_name = "people/password_change.html"
    success_url = reverse_lazy("home")
    success_message = gettext_lazy("Your password has been changed.")


class PasswordResetView(views.PasswordResetView):
    """Request a link to set a new password.

    All work that depends on whether the address exists is done after the response was sent.
    """

    template_name = "people/password_reset.html"
    success_url = reverse_lazy("password_reset_done")

    def form_valid(self, form: Any) -> HttpResponse:
        tenant: Any = self.request.tenant  # type: ignore[attr-defined]
        email = form.cleaned_data["email"]
        try:
            Attempt.begin(self.request, email, Kind.FORGOTTEN)
        except TooManyAttempts as error:
            return _refuse_email(self, form, error)
        act = partial(send_link_if_known, tenant, email)
        return RedirectAndAct(self.get_success_url(), act, schema=tenant.schema_name)


def _refuse_email(view: Any, form: Any, error: TooManyAttempts) -> HttpResponse:
    """Respond that no more e-mails can be requested now, whether or not the address has an account."""
    form.add_error(None, too_many_emails(error.minutes))
    page: HttpResponse = view.form_invalid(form)
    page.status_code = 429
    page["Retry-After"] = str(error.retry_after)
    return page


class PasswordResetDoneView(views.PasswordResetDoneView):
    template_name = "people/password_reset_done.html"


class PasswordResetConfirmView(SuccessMessageMixin, views.PasswordResetConfirmView):  # type: ignore[type-arg]
    template_name = "people/password_reset_confirm.html"
    token_generator = password_tokens
    success_url = reverse_lazy("login")
    success_message = gettext_lazy("Your password has been set. You can log in with it now.")


class PeopleView(PermissionRequiredMixin, FormView):  # type: ignore[type-arg]
    """The users of the organisation and its open invitations, for users who may invite."""

    permission_required = "people.add_user"
    template_name = "people/people.html"
    form_class = InvitationForm
    success_url = reverse_lazy("people")

    def form_valid(self, form: InvitationForm) -> HttpResponse:
        email = form.cleaned_data["email"]
        try:
            Attempt.begin(self.request, email, Kind.INVITATION)
            invite(self.request.tenant, email, self.request.user)  # type: ignore[attr-defined,arg-type]
        except TooManyAttempts as error:
            return _refuse_email(self, form, error)
        except AlreadyHere as error:
            messages.error(self.request, str(error))
        except MailNotSent:
            logger.exception("An invitation could not be sent.")
            messages.error(
                self.request, _("The e-mail to %(email)s could not be sent. Try again later.") % {"email": email}
            )
        else:
            messages.success(self.request, _("%(email)s has been invited.") % {"email": email})
        return super().form_valid(form)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            people=User.objects.order_by("name", "email"),
            invitations=Invitation.objects.select_related("invited_by").order_by("-sent_at"),
            **kwargs,
        )


class WithdrawInvitationView(PermissionRequiredMixin, View):
    permission_required = "people.add_user"

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        invitation = get_object_or_404(Invitation, pk=pk)
        invitation.delete()
        messages.success(request, _("The invitation of %(email)s has been withdrawn.") % {"email": invitation.email})
        return redirect("people")


@method_decorator([never_cache, sensitive_post_parameters()], name="dispatch")
class InvitationView(FormView):  # type: ignore[type-arg]
    """The page of an invitation, on which the invited person enters their name and chooses a password."""

    template_name = "people/invitation.html"
    form_class = AcceptanceForm
    success_url = reverse_lazy("home")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        invitation = find_invitation(request.tenant, kwargs["token"])  # type: ignore[attr-defined]
        if invitation is None:
            return self._refuse()
        self.invitation = invitation
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "invitation": self.invitation}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(invitation=self.invitation, **kwargs)

    def form_valid(self, form: Form) -> HttpResponse:
        try:
            user = accept(self.invitation, name=form.cleaned_data["name"], password=form.cleaned_data["password1"])
        except (Invitation.DoesNotExist, AlreadyHere):
            return self._refuse()
        login(self.request, user, backend=MODEL_BACKEND)
        return redirect(self.get_success_url())

    def _refuse(self) -> HttpResponse:
        return render(self.request, "people/invitation_invalid.html", status=404)
