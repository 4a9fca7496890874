"""What the platform's staff enter for a broadcast, beside what every publication has."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from messages_extends.broadcasts.models import Broadcast
from messages_extends.sending.cleaning import require_characters
from messages_extends.web.publication_forms import NewPublicationForm


class BroadcastForm(NewPublicationForm):
    author = forms.CharField(
        label=_("Sender name shown to readers"),
        max_length=Broadcast._meta.get_field("author").max_length,
        help_text=_("Readers see this name, not yours."),
        widget=forms.TextInput({"autocomplete": "off", "dir": "auto"}),
    )

    def __init__(self, *args: Any, author: str, **options: Any) -> None:
        super().__init__(*args, initial={"author": author}, **options)

    def clean_author(self) -> str:
        author = " ".join(str(self.cleaned_data["author"]).split())
        try:
            require_characters("author", author)
        except ValueError as error:
            raise ValidationError(_("This text contains characters that cannot be stored.")) from error
        return author
