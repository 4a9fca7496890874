"""Pages for operators: list, create, suspend and resume organisations."""

import logging
from typing import Any

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.translation import gettext as _
from django.views.generic import FormView, View

from tenants.forms import OrganisationForm, SearchForm
from tenants.models import Tenant
from tenants.people.mail import MailNotSent, send_welcome
from tenants.provisioning import (
    Administrator,
    ProvisioningError,
    create_organisation,
    resume_organisation,
    suspend_organisation,
)

logger = logging.getLogger(__name__)

PAGE_SIZE = 50


class OperatorsOnly(View):
    """A page for users of the platform with one of the permissions; 404 for everybody else, and on other hosts."""

    permissions: tuple[str, ...] = ("tenants.add_tenant", "tenants.change_tenant")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.tenant.is_platform:  # type: ignore[attr-defined]
            raise Http404
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not any(request.user.has_perm(permission) for permission in self.permissions):
            raise Http404
        return super().dispatch(request, *args, **kwargs)


class OrganisationsView(OperatorsOnly):
    def get(self, request: HttpRequest) -> HttpResponse:
        form = SearchForm(request.GET)
        is_valid = form.is_valid()
        wanted = form.cleaned_data.get("q", "")
        found = Tenant.objects.matching(wanted) if wanted else Tenant.objects.all()
        page = Paginator(found.with_host().order_by("name", "pk"), PAGE_SIZE).get_page(request.GET.get("page"))
        context = {"form": form, "page": page, "wanted": wanted}
        return render(request, "tenants/organisations.html", context, status=200 if is_valid else 400)


class NewOrganisationView(OperatorsOnly, FormView):  # type: ignore[type-arg]
    """Create an organisation in the request, completely or not at all, which takes a second or two."""

    permissions = ("tenants.add_tenant",)
    template_name = "tenants/organisation_new.html"
    form_class = OrganisationForm
    success_url = reverse_lazy("organisations")

    def form_valid(self, form: OrganisationForm) -> HttpResponse:
        options = form.options()
        try:
            tenant = create_organisation(**options)
        except ProvisioningError as error:
            form.add_error(None, str(error))
            return self.form_invalid(form)
        _welcome(self.request, tenant, options["administrator"])
        return super().form_valid(form)

    def form_invalid(self, form: OrganisationForm) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=400)


class SuspendView(OperatorsOnly):
    """Ask for confirmation, then suspend an organisation, which is then closed to everybody."""

    permissions = ("tenants.change_tenant",)

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return render(request, "tenants/organisation_suspend.html", {"tenant": _other_organisation(pk)})

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        tenant = _other_organisation(pk)
        suspend_organisation(tenant)
        messages.success(request, _("%(organisation)s is suspended.") % {"organisation": tenant.name})
        return redirect("organisations")


class ResumeView(OperatorsOnly):
    permissions = ("tenants.change_tenant",)

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        tenant = _other_organisation(pk)
        resume_organisation(tenant)
        messages.success(request, _("%(organisation)s is open again.") % {"organisation": tenant.name})
        return redirect("organisations")


def _other_organisation(pk: int) -> Tenant:
    """Return a complete organisation except the operators' own, from which they would lock themselves out."""
    tenant = get_object_or_404(Tenant.objects.ready().with_host(), pk=pk)
    if tenant.is_platform:
        raise Http404
    return tenant


def _welcome(request: HttpRequest, tenant: Tenant, administrator: Administrator) -> None:
    """Send the link to set a password, and tell the result, with a remedy if the e-mail could not be sent."""
    made = _("%(organisation)s is ready at %(url)s.") % {"organisation": tenant.name, "url": tenant.url()}
    try:
        send_welcome(tenant, administrator.email)
    except MailNotSent:
        logger.exception("The first administrator's e-mail could not be sent.")
        remedy = _("The e-mail to %(email)s could not be sent; they can ask for a link at %(url)s.") % {
            "email": administrator.email,
            "url": tenant.url(reverse("password_reset")),
        }
        messages.warning(request, f"{made} {remedy}")
    else:
        sent = _("%(email)s has been sent a link to choose a password.") % {"email": administrator.email}
        messages.success(request, f"{made} {sent}")
