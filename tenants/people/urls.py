from django.contrib.auth.views import LogoutView
from django.urls import path

from tenants.people import views

urlpatterns = [
    path("login/", views.LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", views.PasswordChangeView.as_view(), name="password_change"),
    path("password/forgotten/", views.PasswordResetView.as_view(), name="password_reset"),
    path("password/forgotten/sent/", views.PasswordResetDoneView.as_view(), name="password_reset_done"),
    path("password/set/<uidb64>/<token>/", views.PasswordResetConfirmView.as_view(), name="password_reset_confirm"),
    path("people/", views.PeopleView.as_view(), name="people"),
    path("people/invitations/<int:pk>/withdraw/", views.WithdrawInvitationView.as_view(), name="invitation_withdraw"),
    path("join/<token>/", views.InvitationView.as_view(), name="invitation"),
]
