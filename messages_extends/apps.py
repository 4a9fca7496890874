from django.apps import AppConfig


class MessagesExtendsConfig(AppConfig):
    name = "messages_extends"
    default_auto_field = "django.db.models.BigAutoField"
