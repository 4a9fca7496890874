from django.urls import path

from tenants import views

urlpatterns = [
    path("", views.OrganisationsView.as_view(), name="organisations"),
    path("new/", views.NewOrganisationView.as_view(), name="organisation_new"),
    path("<int:pk>/suspend/", views.SuspendView.as_view(), name="organisation_suspend"),
    path("<int:pk>/resume/", views.ResumeView.as_view(), name="organisation_resume"),
]
