"""The rules for the names of schemas and hosts.

A schema's name consists of words of lower-case letters and digits, joined by single underscores. The host name has
hyphens instead, because underscores are not valid there. As no schema has a hyphen, two schemas never have the same
host name. Without double or final underscores every host name is valid, and none looks like punycode (`xn--`).
"""

import re
from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MAX_LENGTH: Final = 48
PATTERN: Final = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"

# Host names that a site, its mail or browser security may need, and PostgreSQL's own schemas.
_RESERVED = """
    about abuse account accounts admin administrator api app apps assets auth autoconfig autodiscover billing blog cdn
    cname contact dashboard default demo dev dns docs domain email example ftp health healthz help home hostmaster
    http https imap information_schema internal invalid isatap lists local localdomain localhost login logout mail
    mail1 mail2 media messages metrics monitoring mta_sts mx mx1 mx2 news noc none ns ns1 ns2 null onion oauth
    operator pop pop3 postgres postmaster postgresql proxy public register root security shop signup sitemap smtp sso
    staging static staticfiles stats status support sysadmin system template templates tenant tenants test tests
    undefined usenet uucp webmail webmaster websocket whois wpad www www1 www2 wss
"""
RESERVED: Final = frozenset(_RESERVED.split())


def validate_schema(schema: str) -> None:
    """Raise an error for a name that cannot be both a schema and a host name, or that is reserved."""
    if len(schema) > MAX_LENGTH:
        raise ValidationError(
            _("The short name has %(length)d characters; at most %(limit)d are allowed."),
            code="too_long",
            params={"length": len(schema), "limit": MAX_LENGTH},
        )
    # `$` would also match before a final line break.
    if not re.fullmatch(PATTERN, schema) or schema.endswith("\n"):
        raise ValidationError(
            _(
                "“%(schema)s” is not a valid short name: use lower-case letters and digits, a letter first, "
                "words joined by single underscores."
            ),
            code="invalid",
            params={"schema": schema},
        )
    if is_reserved(schema):
        raise ValidationError(
            _("“%(schema)s” is reserved: choose another short name."), code="reserved", params={"schema": schema}
        )


def is_reserved(schema: str) -> bool:
    public = getattr(settings, "PUBLIC_SCHEMA_NAME", "public")
    return schema in RESERVED or schema == public or schema.startswith("pg_")


def host_for(schema: str) -> str:
    """Return the host name of the organisation with this schema."""
    return f"{schema.replace('_', '-')}.{settings.BASE_DOMAIN}".lower()


def origin_of(host: str) -> str:
    """Return the origin of this host name: scheme, host and, if it is not the default, port."""
    port = f":{settings.SITE_PORT}" if settings.SITE_PORT else ""
    return f"{settings.SITE_SCHEME}://{host}{port}"


def validate_host(host: str) -> None:
    """Raise an error for a host name that is not exactly one label before the base domain."""
    label, _dot, base = host.partition(".")
    if base != settings.BASE_DOMAIN.lower() or not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", label):
        raise ValidationError(
            _("“%(host)s” is not one lower-case name in front of .%(base)s."),
            code="invalid",
            params={"host": host, "base": settings.BASE_DOMAIN},
        )
