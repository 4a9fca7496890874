"""Fact 1 as a rule about our code: how it may enter a tenant.

`with tenant:` keeps the way back on a stack that all threads share, and `@schema_context(...)` in an object that all
calls of the function share. Both are refused wherever this repository's own code runs.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

ROOTS = ("messages_extends", "tenants", "config")
CONTEXTS = {"schema_context", "tenant_context"}
ENTERING = {"enter_context", "enter_async_context"}
# Context managers that are no call. A tenant is never among them.
KNOWN_NAMES = {"file", "wrap_database_errors", "connection"}
# What hands out one row of a table, which may be a tenant.
ROW = re.compile(r"a?(get|first|last|latest|earliest|create|get_or_create|update_or_create)")
TENANT = re.compile(r"tenant|organi[sz]ation|domain", re.IGNORECASE)


def last_name(node: ast.expr) -> str:
    """Return the last name of `a.b.c`, or of what is called or indexed there; "" for anything else."""
    if isinstance(node, ast.Call):
        return last_name(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def may_be_entered(node: ast.expr) -> bool:
    name = last_name(node)
    if not isinstance(node, ast.Call):
        return name in KNOWN_NAMES
    return name in CONTEXTS or not (ROW.fullmatch(name) or TENANT.search(name))


def entered(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.With | ast.AsyncWith):
        yield from (item.context_expr for item in node.items)
    elif isinstance(node, ast.Call) and last_name(node) in ENTERING:
        yield from node.args


def decorates(node: ast.AST) -> Iterator[ast.expr]:
    """Yield calls of a tenant context that decorate a function, by an @ or by hand."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield from (found for found in node.decorator_list if last_name(found) in CONTEXTS)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Call) and last_name(node.func) in CONTEXTS:
        yield node


def broken_rules(source: str) -> list[str]:
    found = [
        expression
        for node in ast.walk(ast.parse(source))
        for expression in (*(each for each in entered(node) if not may_be_entered(each)), *decorates(node))
    ]
    return [f"line {expression.lineno}: {ast.unparse(expression)}" for expression in found]


SOURCES = [source for root in ROOTS for source in sorted((settings.BASE_DIR / root).rglob("*.py"))]


def test_sources_include_package_code() -> None:
    assert len(SOURCES) > 30


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.relative_to(settings.BASE_DIR)))
def test_package_code_enters_tenants_by_context_functions_only(source: Path) -> None:
    assert broken_rules(source.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "with tenant: pass",
        "with self.tenant: pass",
        "with request.tenant as t, open(x) as file: pass",
        "with organisations[0]: pass",
        "with Tenant.objects.get(pk=1): pass",
        "with get_tenant(request): pass",
        "with Tenant.objects.filter(x=1).first() as t: pass",
        "with (t := find()): pass",
        "async def f():\n async with tenant: pass",
        "stack.enter_context(tenant)",
        "@schema_context('public')\ndef f(): pass",
        "@utils.tenant_context(t)\nasync def f(): pass",
        "f = schema_context('public')(g)",
    ],
)
def test_tenant_entry_rule_detects_each_violation(wrong: str) -> None:
    assert len(broken_rules(wrong)) == 1


@pytest.mark.parametrize(
    "right",
    [
        "with schema_context('acme'), transaction.atomic(): pass",
        "with django_tenants.utils.tenant_context(tenant) as t: pass",
        "with in_schema(schema): pass",
        "with connection.cursor() as cursor: pass",
        "stack.enter_context(tenant_context(tenant))",
        "@login_required\ndef f(): pass",
    ],
)
def test_tenant_entry_rule_accepts_context_functions(right: str) -> None:
    assert broken_rules(right) == []
