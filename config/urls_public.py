"""The URLs at the base domain, where nobody can log in."""

from django.urls import path

from config import views

handler400 = "config.views.bad_request"
handler500 = "config.views.server_error"

urlpatterns = [
    path("", views.landing, name="landing"),
    path("find/", views.find, name="find"),
]
