"""Plain texts as HTML."""

import re
from typing import Any, Final

from django.utils.html import Urlizer, escape, smart_urlquote
from django.utils.safestring import SafeString, mark_safe

from messages_extends.texts.links import is_link

WEB_ADDRESS: Final = re.compile(r"https?://\[?\w", re.IGNORECASE)
MAX_ADDRESS: Final = 2_000
# The links pass on neither a ranking nor the address of this page, because anybody may write them.
LINK: Final = '{}<a href="{}" rel="noopener noreferrer nofollow">{}</a>{}'


class WebAddressUrlizer(Urlizer):
    """Convert http(s) addresses in a plain text to links, but not e-mail addresses or host names; escape the rest."""

    def handle_word(self, word: str, **_options: Any) -> str:
        if WEB_ADDRESS.search(word):
            lead, address, trail = self.trim_punctuation(word)
            if WEB_ADDRESS.match(address) and len(address) <= MAX_ADDRESS and is_link(address):
                return LINK.format(*map(escape, (lead, smart_urlquote(address), address, trail)))
        return escape(word)


_urlizer: Final = WebAddressUrlizer()


def text_as_html(text: str) -> SafeString:
    """Return a plain text as HTML: escaped, with its http(s) addresses as links and its line breaks as elements."""
    linked = _urlizer(text) if "://" in text else escape(text)
    return mark_safe(re.sub(r"\r\n|\r|\n", "<br>", linked))  # noqa: S308 - escaped
