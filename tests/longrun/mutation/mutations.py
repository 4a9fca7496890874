"""A hundred faults that a change of the code could bring in, and the tests that fail with each.

They were chosen before files were moved and renamed, so that a restructuring can show that no test has become weaker:
whoever moves a piece of code points its mutation to the new place, and the same number must be caught.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Mutation:
    """A rule broken by one change of source text: `before` occurs exactly once in `module`."""

    name: str
    module: str
    before: str
    after: str
    caught_by: tuple[str, ...]


PACKAGE: Final = "messages_extends."
SENDING: Final = (
    Mutation(
        "What a sender may not send is sent",
        f"{PACKAGE}sending.messages",
        "require_may_send(sender, people,",
        "require_may_send(None, people,",
        (
            "tests/unit/sending/test_messages.py::TestPolicy::test_send_reaches_nobody_when_policy_forbids_one_recipient",
            "tests/unit/storages/test_storages.py::TestPersistent::test_add_message_with_user_without_grant_is_refused",
        ),
    ),
    Mutation(
        "The limit is asked about before the transaction, not inside it",
        f"{PACKAGE}sending.messages",
        "with translate_fk_violation(), atomic():\n        check_rate_limit(sender)",
        "check_rate_limit(sender)\n    with translate_fk_violation(), atomic():",
        ("tests/integration/test_rate_limits.py::test_concurrent_sends_do_not_exceed_limit",),
    ),
    Mutation(
        "Requests at once do not wait for each other before a limit is counted",
        f"{PACKAGE}access.sql",
        "pg_advisory_xact_lock(hashtextextended(%(sender_key)s, 0))",
        "hashtextextended(%(sender_key)s, 0)",
        ("tests/integration/test_rate_limits.py::test_concurrent_sends_do_not_exceed_limit",),
    ),
    Mutation(
        "One more than the limit may be sent",
        f"{PACKAGE}access.rate_limits",
        "[limit - 1 : limit]",
        "[limit : limit + 1]",
        (
            "tests/integration/test_rate_limits.py::TestCountedActions::test_send_beyond_limit_is_refused_and_writes_nothing",
        ),
    ),
    Mutation(
        "Revisions do not count towards the limit",
        f"{PACKAGE}access.rate_limits",
        "Action.BROADCAST, Action.REVISE)",
        "Action.BROADCAST)",
        ("tests/integration/test_rate_limits.py::TestCountedActions::test_announce_and_revise_count_towards_limit",),
    ),
    Mutation(
        "A message that has not expired makes way for the next with its key",
        f"{PACKAGE}models.message",
        'self.filter(~Exists(unread.exclude(key="")), is_hidden, key=key)',
        "self.filter(Q(read_at=None) | is_hidden, key=key)",
        (
            "tests/unit/sending/test_messages.py::TestKeys::test_send_with_key_skips_recipient_with_unread_message",
            "tests/unit/storages/test_storages.py::TestPersistent::test_add_message_with_key_skips_while_unread",
        ),
    ),
    Mutation(
        "A form that is submitted twice is sent twice",
        f"{PACKAGE}sending.idempotency",
        "        if is_first:",
        "        if True:",
        ("tests/integration/web/test_compose.py::TestSend::test_compose_send_repeated_with_same_number_sends_nothing",),
    ),
    Mutation(
        "People of another organisation are taken for those with their keys",
        f"{PACKAGE}sending.recipients",
        "            check_tenant(user)",
        "            pass",
        (
            "tests/unit/sending/test_messages.py::TestRecipients::test_send_refuses_recipient_or_sender_of_other_tenant",
            "tests/isolation/test_objects.py::test_recipient_of_other_tenant_is_refused",
        ),
    ),
    Mutation(
        "An announcement to groups reaches everyone",
        f"{PACKAGE}sending.publications",
        "audience=model.for_everybody if chosen is None else model.for_chosen",
        "audience=model.for_everybody",
        (
            "tests/unit/sending/test_publications.py::TestGroups::test_group_announcement_reaches_current_members",
            "tests/integration/web/test_announcements.py::TestWriting::test_announcement_publish_to_group_reaches_its_members",
        ),
    ),
    Mutation(
        "A stranger revises an announcement",
        f"{PACKAGE}sending.publications",
        "access_to(type(publication)).require_may_change(sender, locked)\n        check_rate_limit",
        "check_rate_limit",
        (
            "tests/unit/sending/test_publications.py::TestRevise::test_revise_and_retract_refuse_sender_without_permission",
        ),
    ),
    Mutation(
        "A publication is not locked while it is changed",
        f"{PACKAGE}sending.publications",
        'publications.select_for_update(of=("self",)).filter(',
        "publications.filter(",
        ("tests/integration/test_concurrency.py::TestPublishing::test_concurrent_revise_calls_apply_all_changes",),
    ),
    Mutation(
        "The key of an announcement that has expired stays taken",
        f"{PACKAGE}sending.idempotency",
        "same.exclude(retracted_at=None, expires__gt=timezone.now())",
        "same.exclude(retracted_at=None)",
        ("tests/unit/sending/test_publications.py::TestKeys::test_announce_reuses_key_of_expired_announcement",),
    ),
    Mutation(
        "An announcement that is shown again keeps its revision",
        f"{PACKAGE}sending.publications",
        "publication.revision + 1}",
        "publication.revision}",
        (
            "tests/unit/sending/test_publications.py::TestRevise::test_revise_with_show_again_makes_announcement_unread_and_first",
            "tests/integration/web/test_announcements.py::TestChanging::test_announcement_edit_shown_again_makes_announcement_unread",
        ),
    ),
    Mutation(
        "Nobody is asked whether a person may broadcast",
        f"{PACKAGE}access.publications",
        "require_may_broadcast(sender, action)",
        "require_may_broadcast(None, action)",
        ("tests/unit/sending/test_broadcasts.py::TestWhoMay::test_broadcast_refuses_platform_user_without_permission",),
    ),
    Mutation(
        "A link of any scheme is stored",
        f"{PACKAGE}sending.cleaning",
        '    require_link(columns["url"])',
        "    pass",
        ("tests/unit/storages/test_storages.py::TestPersistent::test_add_message_refuses_unsafe_url",),
    ),
)
INBOX: Final = (
    Mutation(
        "An expired message is still shown",
        f"{PACKAGE}models.message",
        "self.filter(Q(expires=None) | Q(expires__gt=at), shows_at__lte=at)",
        "self.filter(shows_at__lte=at)",
        (
            "tests/unit/inbox/test_inbox.py::TestPage::test_page_hides_expired_retracted_and_scheduled_items",
            "tests/unit/storages/test_storages.py::TestPersistent::test_persistent_message_is_hidden_after_expires",
        ),
    ),
    Mutation(
        "An expired announcement is still shown",
        f"{PACKAGE}models.publication",
        "publish_at__lte=at, expires__gt=at)",
        "publish_at__lte=at)",
        (
            "tests/unit/sending/test_publications.py::TestTime::test_announcement_appears_at_publish_at_and_disappears_at_expires",
        ),
    ),
    Mutation(
        "An announcement is shown before its time",
        f"{PACKAGE}models.publication",
        "self.filter(retracted_at=None, publish_at__lte=at, ",
        "self.filter(retracted_at=None, ",
        (
            "tests/unit/sending/test_publications.py::TestTime::test_announcement_appears_at_publish_at_and_disappears_at_expires",
            "tests/unit/sending/test_broadcasts.py::TestBroadcast::test_broadcast_with_future_publish_at_appears_when_due",
        ),
    ),
    Mutation(
        "A retracted announcement is still shown",
        f"{PACKAGE}models.publication",
        "self.filter(retracted_at=None, publish_at__lte=at, ",
        "self.filter(publish_at__lte=at, ",
        (
            "tests/unit/sending/test_publications.py::TestRetract::test_retract_hides_announcement_from_every_reader",
            "tests/unit/sending/test_broadcasts.py::TestReading::test_revise_and_retract_of_broadcast_apply_at_once_in_every_tenant",
        ),
    ),
    Mutation(
        "A broadcast to another organisation is shown",
        f"{PACKAGE}inbox.feed",
        "Broadcast.objects.addressed_to(schema)",
        "Broadcast.objects.all()",
        (
            "tests/unit/sending/test_broadcasts.py::TestBroadcast::test_broadcast_to_selected_tenants_reaches_only_those_tenants",
        ),
    ),
    Mutation(
        "An announcement to a group is shown to everyone",
        f"{PACKAGE}inbox.feed",
        "Announcement.objects.addressed_to(user)",
        "Announcement.objects.all()",
        ("tests/unit/sending/test_publications.py::TestGroups::test_group_announcement_reaches_current_members",),
    ),
    Mutation(
        "Of entries with one time, the next page leaves out the rest",
        f"{PACKAGE}inbox.feed",
        "return not_later & (earlier | Q(pk__lt=last_id))",
        "return earlier",
        ("tests/integration/test_inbox_properties.py::test_inbox_pages_list_each_item_once_in_order",),
    ),
    Mutation(
        "What must be acknowledged is marked with all the rest",
        f"{PACKAGE}inbox.inbox",
        'each.filter(must_acknowledge=False).values_list("pk", "revision")',
        'each.values_list("pk", "revision")',
        ("tests/unit/inbox/test_inbox.py::TestMarking::test_publication_to_acknowledge_can_only_be_acknowledged",),
    ),
    Mutation(
        "What has come since the page was made is marked with it",
        f"{PACKAGE}inbox.inbox",
        "messages = messages.filter(snapshot.seen_messages)",
        "messages = messages.all()",
        (
            "tests/unit/inbox/test_inbox.py::TestMarkingAll::test_mark_all_read_with_snapshot_leaves_newer_items_unread",
            "tests/integration/web/test_pages.py::TestMarkingAll::test_mark_all_read_skips_messages_newer_than_page",
        ),
    ),
    Mutation(
        "The current revision is marked as read, not the one that was shown",
        f"{PACKAGE}inbox.inbox",
        '.values_list("pk", "shown"))',
        '.values_list("pk", "revision"))',
        (
            "tests/unit/inbox/test_inbox.py::TestMarking::test_mark_read_of_earlier_revision_leaves_new_revision_unread",
            "tests/unit/sending/test_publications.py::TestAcknowledging::test_acknowledge_of_earlier_revision_leaves_new_revision_unread",
        ),
    ),
    Mutation(
        "Undo restores what was read before too",
        f"{PACKAGE}models.message",
        "was_read = Q(read_at=at) & (",
        "was_read = Q(read_at__lte=at) & (",
        ("tests/unit/inbox/test_inbox.py::TestMarkingAll::test_undo_restores_only_items_of_that_mark_all_read",),
    ),
    Mutation(
        "A scheduled message is shown before its time",
        f"{PACKAGE}models.message",
        "Q(expires__gt=at), shows_at__lte=at)",
        "Q(expires__gt=at))",
        ("tests/unit/inbox/test_triage.py::TestSchedule::test_scheduled_message_appears_by_itself",),
    ),
    Mutation(
        "A snoozed publication is still shown",
        f"{PACKAGE}models.publication",
        "found.exclude(is_snoozed | (is_read if unread else is_archived))",
        "found.exclude(is_read if unread else is_archived)",
        (
            "tests/unit/inbox/test_triage.py::TestSingleItems::test_snooze_hides_item_until_it_comes_back_first_and_unread",
        ),
    ),
    Mutation(
        "What one reader has read is read for the others",
        f"{PACKAGE}models.publication",
        "condition=Q(receipts__user=user.pk)",
        "condition=Q(receipts__user__isnull=False)",
        (
            "tests/unit/inbox/test_inbox.py::TestMarking::test_mark_read_of_publication_affects_one_reader",
            "tests/unit/inbox/test_triage.py::TestSingleItems::test_marks_are_of_one_reader",
        ),
    ),
    Mutation(
        "What must be acknowledged is archived with all the rest",
        f"{PACKAGE}models.publication",
        "self.filter(Q(must_acknowledge=False) | Exists(is_read))",
        "self.all()",
        (
            "tests/unit/inbox/test_triage.py::TestAcknowledging::test_item_to_be_acknowledged_is_neither_archived_nor_snoozed",
        ),
    ),
    Mutation(
        "A selection is changed although one item of it is unknown",
        f"{PACKAGE}inbox.inbox",
        "if keys and using_primary(messages).count() < len({int(key) for key in keys}):",
        "if keys and not using_primary(messages).count():",
        (
            "tests/unit/inbox/test_triage.py::TestSingleItems::test_message_of_another_user_is_refused_and_nothing_is_changed",
        ),
    ),
    Mutation(
        "Undo takes back what was changed again since",
        f"{PACKAGE}models.message",
        "was_read = Q(read_at=at) & (Q(archived_at=None) | is_marked & Q(previous_archived_at=None))",
        "was_read = Q(read_at=at)",
        ("tests/unit/inbox/test_triage.py::TestUndo::test_undo_leaves_item_that_was_changed_again",),
    ),
    Mutation(
        "A message is recalled although somebody has read it",
        f"{PACKAGE}sending.recall",
        "if not is_scheduled and (is_read or len(found) < written):",
        "if not is_scheduled and len(found) < written:",
        (
            "tests/unit/inbox/test_sent.py::TestRecall::test_recall_is_refused_after_somebody_has_read_it",
            "tests/integration/web/test_sent.py::TestRecall::test_recall_after_somebody_has_read_it_returns_409",
        ),
    ),
    Mutation(
        "A message is recalled although a copy that was read has been purged",
        f"{PACKAGE}sending.recall",
        "if not is_scheduled and (is_read or len(found) < written):",
        "if not is_scheduled and is_read:",
        ("tests/unit/inbox/test_sent.py::TestRecall::test_recall_is_refused_after_copy_is_deleted_unless_scheduled",),
    ),
    Mutation(
        "A message is recalled while its recipient marks it as read",
        f"{PACKAGE}sending.recall",
        'together.order_by("pk").select_for_update().values_list',
        'together.order_by("pk").values_list',
        (
            "tests/integration/test_concurrency.py::TestRecalling::test_message_marked_read_during_recall_either_stays_or_is_gone",
        ),
    ),
    Mutation(
        "Anybody recalls what others have sent",
        f"{PACKAGE}models.message",
        "return self.filter(sender_id=user.pk)",
        "return self.all()",
        (
            "tests/isolation/test_cross_tenant_access.py::TestSent::test_recall_of_what_others_have_sent_returns_404_and_changes_nothing",
        ),
    ),
    Mutation(
        "A page shows what was unread before its own request changed it",
        f"{PACKAGE}inbox.unread",
        "key = (current_schema(), user.pk, change_counter())",
        "key = (current_schema(), user.pk)",
        ("tests/integration/web/test_pages.py::TestBell::test_unread_for_rereads_after_change_in_request",),
    ),
    Mutation(
        "Somebody else's undo is taken for one's own",
        f"{PACKAGE}web.tokens",
        ":{schema_of(request)}:{request.user.pk}",
        ":{schema_of(request)}",
        ("tests/integration/web/test_pages.py::TestMarkingAll::test_undo_with_token_of_other_user_returns_400",),
    ),
    Mutation(
        "The time at which a query was first compiled stays in it",
        f"{PACKAGE}queries.compiled",
        "{name: Slot(name) for name in key.values if name not in key.people}",
        "{name: __import__('datetime').datetime(2020, 1, 1, tzinfo=__import__('datetime').UTC) "
        "if name == 'at' else Slot(name) for name in key.values if name not in key.people}",
        (
            "tests/unit/queries/test_compiled.py::test_compiled_query_uses_current_time_of_each_run",
            "tests/unit/queries/test_compiled.py::test_compiled_queries_return_same_rows_as_orm",
        ),
    ),
    Mutation(
        "A host's own members are compiled once for all readers",
        f"{PACKAGE}queries.compiled",
        "if settings.members or not isinstance(build",
        "if not isinstance(build",
        ("tests/unit/queries/test_compiled.py::test_inbox_query_with_members_setting_is_not_cached",),
    ),
    Mutation(
        "A report names people whom its viewer may not see",
        f"{PACKAGE}inbox.reports",
        'people.filter(pk__in=policy().visible_people(viewer).values("pk"))',
        "people",
        (
            "tests/unit/inbox/test_reports.py::TestPeople::test_read_report_lists_only_people_visible_to_viewer",
            "tests/integration/web/test_announcements.py::TestReaders::test_reader_report_names_visible_users_only",
        ),
    ),
    Mutation(
        "Counts of an earlier revision of a broadcast are added up",
        f"{PACKAGE}inbox.broadcast_counts",
        "filter(broadcast=broadcast, revision=broadcast.revision)",
        "filter(broadcast=broadcast)",
        (
            "tests/unit/inbox/test_broadcast_counts.py::TestCounting::test_count_readers_after_show_again_starts_from_zero",
        ),
    ),
)
TRIAGE: Final = (
    Mutation(
        "A search finds what only contains a word",
        f"{PACKAGE}models.search",
        'return rf"\\m{text}" if word[0].isascii() else',
        "return text if word[0].isascii() else",
        ("tests/unit/inbox/test_search.py::test_search_leaves_out_what_does_not_begin_like_it",),
    ),
    Mutation(
        "What is searched for is a pattern",
        f"{PACKAGE}models.search",
        "word.translate(LIKE_ESCAPES)",
        "word",
        ("tests/unit/inbox/test_search.py::test_search_finds_words_that_begin_like_it",),
    ),
    Mutation(
        "What is searched for is a regular expression",
        f"{PACKAGE}models.search",
        'letter if _is_plain(letter) else f"\\\\{letter}" for letter in word',
        "letter for letter in word",
        ("tests/unit/inbox/test_search.py::test_search_leaves_out_what_does_not_begin_like_it",),
    ),
    Mutation(
        "One of several words is enough for a search",
        f"{PACKAGE}models.search",
        "~* ALL (CAST({regexes}",
        "~* ANY (CAST({regexes}",
        ("tests/unit/inbox/test_search.py::test_search_leaves_out_what_does_not_begin_like_it",),
    ),
    Mutation(
        "A search does not look at titles",
        f"{PACKAGE}models.search",
        'THEN {message} ELSE {whole} END)"',
        'THEN {message} ELSE {message} END)"',
        ("tests/unit/inbox/test_search.py::test_search_looks_at_title_parameters_and_publications",),
    ),
    Mutation(
        "A selection of all takes no notice of a search",
        f"{PACKAGE}inbox.inbox",
        "messages, publications = self._seen(chosen, self._values(sender, search), snapshot)",
        "messages, publications = self._seen(chosen, self._values(sender), snapshot)",
        ("tests/unit/inbox/test_search.py::test_selection_and_mark_all_read_change_only_what_the_search_finds",),
    ),
    Mutation(
        '"Mark all as read" takes no notice of a search',
        f"{PACKAGE}inbox.inbox",
        '        values = self._values(sender, search)\n        at = values["at"]',
        '        values = self._values(sender)\n        at = values["at"]',
        ("tests/unit/inbox/test_search.py::test_selection_and_mark_all_read_change_only_what_the_search_finds",),
    ),
    Mutation(
        "A filter by sender keeps what others have sent",
        f"{PACKAGE}inbox.feed",
        'found = {kind: branch.filter(sender=sender) for kind, branch in found.items() if kind != "broadcast"}',
        'found = {kind: branch for kind, branch in found.items() if kind != "broadcast"}',
        (
            "tests/unit/inbox/test_triage.py::TestViews::test_filter_by_sender_keeps_what_that_person_sent",
            "tests/integration/web/test_triage.py::test_sender_filter_shows_only_what_that_person_sent",
        ),
    ),
    Mutation(
        "An archived message is still in the inbox",
        f"{PACKAGE}models.message",
        '**({"read_at": None} if unread else {"archived_at": None})',
        '**({"read_at": None} if unread else {})',
        ("tests/unit/inbox/test_triage.py::TestSingleItems::test_archive_removes_item_from_inbox_and_marks_it_read",),
    ),
    Mutation(
        "An archived message stays unread",
        f"{PACKAGE}inbox.selection",
        'archived_at=at, read_at=Coalesce("read_at", at))',
        "archived_at=at)",
        ("tests/unit/inbox/test_triage.py::TestSingleItems::test_archive_removes_item_from_inbox_and_marks_it_read",),
    ),
    Mutation(
        "A message that is unread again stays in the archive",
        f"{PACKAGE}models.message",
        'values |= {"archived_at": None, "marked_at": None}',
        "pass",
        ("tests/unit/inbox/test_triage.py::TestSingleItems::test_mark_unread_moves_archived_item_to_inbox",),
    ),
    Mutation(
        "What is snoozed stays in the archive",
        f"{PACKAGE}inbox.selection",
        "snoozed_until=until, archived_at=None)",
        "snoozed_until=until)",
        ("tests/unit/inbox/test_triage.py::TestSingleItems::test_snooze_takes_archived_item_out_of_archive",),
    ),
    Mutation(
        "A publication is snoozed for all readers",
        f"{PACKAGE}models.publication",
        "Receipt.objects.filter(user_id=user.pk, publication_id",
        "Receipt.objects.filter(publication_id",
        ("tests/unit/inbox/test_triage.py::TestSingleItems::test_marks_are_of_one_reader",),
    ),
    Mutation(
        "A new message with the key of a saved one is not saved",
        f"{PACKAGE}sending.messages",
        "unread.filter(user__in=saved).update(saved_at=timezone.now())",
        "pass",
        ("tests/unit/inbox/test_triage.py::TestKeys::test_send_keeps_what_was_saved_saved",),
    ),
    Mutation(
        "An archived message stays beside a new one with its key",
        f"{PACKAGE}models.message",
        "is_hidden = Q(archived_at__isnull=False) | Q(",
        "is_hidden = Q(",
        ("tests/unit/inbox/test_triage.py::TestKeys::test_send_replaces_archived_message",),
    ),
    Mutation(
        "Somebody else's changes are undone",
        f"{PACKAGE}inbox.inbox",
        "count = messages_of(self.user).undo(at) + Receipt",
        "count = Message.objects.all().undo(at) + Receipt",
        ("tests/unit/inbox/test_triage.py::TestUndo::test_undo_is_of_one_user",),
    ),
    Mutation(
        "A sender who does not exist is told apart",
        f"{PACKAGE}web.filters",
        '"sender": model(pk=self.sender) if self.sender else None',
        '"sender": model.objects.get(pk=self.sender) if self.sender else None',
        ("tests/integration/web/test_triage.py::test_sender_filter_reveals_no_name_of_whom_has_sent_nothing",),
    ),
)
ACCESS: Final = (
    Mutation(
        "Inactive people are members",
        f"{PACKAGE}access.membership",
        "people.filter(Q(is_active=True)) if has_activity_flag(people)",
        "people if has_activity_flag(people)",
        (
            "tests/unit/access/test_policy.py::test_policy_excludes_inactive_senders_and_recipients",
            "tests/unit/sending/test_messages.py::TestRecipients::test_send_to_group_or_queryset_skips_inactive_users",
        ),
    ),
    Mutation(
        "Somebody who has been deactivated since they were loaded may write",
        f"{PACKAGE}access.policy",
        "people.filter(allowed, Exists(member(sender)))",
        "people.filter(allowed)",
        ("tests/unit/access/test_policy.py::test_policy_excludes_inactive_senders_and_recipients",),
    ),
    Mutation(
        "Whoever may write to one group of several may announce to all of them",
        f"{PACKAGE}access.policy",
        'bool(counts["all"]) and counts["all"] == counts["allowed"]',
        'bool(counts["all"]) and bool(counts["allowed"])',
        ("tests/unit/access/test_policy.py::test_may_announce_to_groups_requires_grant_on_each_group",),
    ),
    Mutation(
        "Everybody may change an announcement to a group that they may announce to",
        f"{PACKAGE}access.policy",
        "announcement.sender_id is None or announcement.sender_id != sender.pk",
        "announcement.sender_id is None",
        ("tests/unit/access/test_policy.py::test_may_change_requires_permission_or_sender_with_may_announce",),
    ),
    Mutation(
        "One's own announcement may be changed after the right to announce is gone",
        f"{PACKAGE}access.policy",
        "return self.may_announce(sender, groups)\n",
        "return True\n",
        (
            "tests/unit/access/test_policy.py::test_may_change_own_announcement_to_everyone_requires_may_announce",
            "tests/integration/web/test_announcements.py::TestAccess::test_announcement_retract_page_after_revoked_grant_returns_403",
        ),
    ),
    Mutation(
        "The permission to broadcast counts in every organisation",
        f"{PACKAGE}access.policy",
        "if here != settings.platform_schema or not",
        "if not",
        (
            "tests/unit/access/test_policy.py::test_may_broadcast_allows_only_permitted_platform_users",
            "tests/unit/sending/test_broadcasts.py::TestWhoMay::test_broadcast_refuses_tenant_user_with_broadcast_permissions",
        ),
    ),
    Mutation(
        "Whoever may grant gives what they do not hold",
        f"{PACKAGE}access.policy",
        "reached.filter(pk=target.pk)",
        "reached",
        ("tests/integration/web/test_grants.py::TestGrant::test_grant_form_refuses_target_beyond_own_grants",),
    ),
    Mutation(
        "Whether somebody may write is asked of the replica",
        f"{PACKAGE}access.policy",
        "using_primary(self.reachable_people(sender).filter(pk=recipient.pk)).exists()",
        "self.reachable_people(sender).filter(pk=recipient.pk).exists()",
        ("tests/unit/access/test_policy.py::test_may_message_queries_primary_database_with_replica_router",),
    ),
    Mutation(
        "Recipients are not locked between the check and the message",
        f"{PACKAGE}access.sql",
        " FOR KEY SHARE OF person",
        "",
        (
            "tests/integration/test_concurrency.py::TestSending::test_require_may_send_locks_recipients_until_transaction_ends",
        ),
    ),
    Mutation(
        "A permission of the same name in another app is a grant",
        f"{PACKAGE}access.grants",
        '"permission__codename": right.codename, "permission__content_type__app_label": right.app_label}',
        '"permission__codename": right.codename}',
        ("tests/unit/access/test_policy.py::test_policy_ignores_send_message_permission_of_other_app",),
    ),
    Mutation(
        "What one group holds on all, everybody holds",
        f"{PACKAGE}access.grants",
        "Permission.objects.filter(wanted, group__in=keys_of_groups_of(user))",
        "Permission.objects.filter(wanted, group__isnull=False)",
        ("tests/unit/access/test_policy.py::test_policy_ignores_grants_of_other_holders",),
    ),
    Mutation(
        "Grants outlive their target",
        f"{PACKAGE}access.grants",
        "_rows(rows, right).filter(object_pk=str(instance.pk)).delete()",
        "pass",
        ("tests/unit/access/test_policy.py::test_deleting_target_deletes_grants_and_keeps_other_permissions",),
    ),
    Mutation(
        "A right on all groups reaches a person who is in none",
        f"{PACKAGE}access.sql",
        'IN_A_GROUP: Final = "joined.{group} IS NOT NULL"',
        'IN_A_GROUP: Final = "true"',
        (
            "tests/unit/access/test_policy_queries.py::test_pair_condition_agrees_with_reachable_people_for_each_kind_of_grant",
        ),
    ),
    Mutation(
        "A host's own policy is compiled once for all people",
        f"{PACKAGE}access.policy",
        "kind in BUILT_IN and has_plain_managers()",
        "has_plain_managers()",
        ("tests/unit/access/test_page_access.py::test_accessible_pages_follow_reachable_people_of_custom_policy",),
    ),
    Mutation(
        "A host's own answer about announcements is not asked for",
        f"{PACKAGE}access.pages",
        "announcements=announcements or asked.may_announce_to_everyone(person)",
        "announcements=announcements",
        ("tests/unit/access/test_page_access.py::test_accessible_pages_follow_boolean_answers_of_custom_policy",),
    ),
)
LIVE: Final = (
    Mutation(
        "A hint names the schema that is current at the commit",
        f"{PACKAGE}events.changes",
        "for text in event.texts(bus.limit)",
        "for text in ChangeEvent(current_schema(), hint.users, hint.groups, hint.everyone).texts(bus.limit)",
        (
            "tests/isolation/test_deferred.py::test_change_event_names_schema_of_change",
            "tests/integration/live/test_change_events.py::TestTransactions::test_notify_changed_publishes_after_commit_with_schema_of_change",
        ),
    ),
    Mutation(
        "A hint is published before the commit",
        f"{PACKAGE}events.changes",
        "transaction.on_commit(PendingEvents(events).publish, using=connection.alias, robust=True)",
        "PendingEvents(events).publish()",
        (
            "tests/integration/live/test_change_events.py::TestTransactions::test_notify_changed_publishes_after_commit_with_schema_of_change",
            "tests/integration/live/test_change_events.py::TestTransactions::test_notify_changed_publishes_nothing_after_rollback",
        ),
    ),
    Mutation(
        "A hint for many people is not split",
        f"{PACKAGE}events.changes",
        "if part and size > limit:",
        "if False:",
        ("tests/integration/live/test_change_events.py::test_change_event_with_many_users_fits_notify_payload",),
    ),
    Mutation(
        "A change of an account is not looked at at once",
        f"{PACKAGE}events.changes",
        'if created or (update_fields is not None and set(update_fields) <= {"last_login"}):',
        "if True:",
        ("tests/integration/live/test_change_events.py::TestRecipients::test_account_changes_notify_account",),
    ),
    Mutation(
        "The streams of a session stay open when it logs out",
        f"{PACKAGE}live.hub",
        "for session in event.sessions & self.sessions.keys():",
        "for session in ():",
        ("tests/integration/live/test_hub.py::test_hub_ends_streams_of_ended_session_only",),
    ),
    Mutation(
        "The next change by itself is not looked up again after a publication",
        f"{PACKAGE}live.hub",
        "self.refresh_is_stale |= bool(event.groups) or event.everyone or event.later",
        "pass",
        (
            "tests/integration/live/test_live.py::TestOneOrganisation::test_scheduled_announcement_updates_streams_on_start_and_expiry",
        ),
    ),
    Mutation(
        "After a gap nothing is counted again",
        f"{PACKAGE}live.hub",
        "ChangeEvent(None, everyone=True) if text is None",
        "ChangeEvent(None) if text is None",
        ("tests/integration/live/test_hub.py::test_hub_notifies_all_streams_after_gap",),
    ),
    Mutation(
        "The streams of an organisation that is closed stay open",
        f"{PACKAGE}live.hub",
        "if tenant.refused >= 2:",
        "if False:",
        ("tests/integration/live/test_hub.py::TestRechecks::test_hub_ends_streams_of_missing_schema",),
    ),
    Mutation(
        "Somebody inactive keeps their stream",
        f"{PACKAGE}live.queries",
        "for user in using_primary(people.filter(pk__in=keys)) if user.is_active}",
        "for user in using_primary(people.filter(pk__in=keys))}",
        ("tests/integration/live/test_hub.py::TestRechecks::test_revoked_subscribers_include_inactive_user",),
    ),
    Mutation(
        "Somebody whose password has changed keeps their stream",
        f"{PACKAGE}live.queries",
        "return subscriber.auth_hash is None or constant_time_compare(",
        "return True or constant_time_compare(",
        (
            "tests/integration/live/test_hub.py::TestRechecks::test_revoked_subscribers_include_user_with_changed_password",
        ),
    ),
    Mutation(
        "Unread messages are counted in the replica",
        f"{PACKAGE}live.queries",
        "with schema_context(schema), reading_from_primary():\n        at = timezone.now() + CLOCK_SKEW",
        "with schema_context(schema):\n        at = timezone.now() + CLOCK_SKEW",
        ("tests/integration/live/test_hub.py::test_unread_counts_are_read_from_primary",),
    ),
    Mutation(
        "A stream is served that a middleware has refused after the view",
        f"{PACKAGE}live.asgi",
        'if start["status"] != STREAM_STATUS:',
        "if False:",
        ("tests/integration/live/test_asgi.py::test_live_updates_answer_with_status_of_host_middleware",),
    ),
    Mutation(
        "A page of another site opens a stream",
        f"{PACKAGE}web.stream",
        'not in ("same-origin", "none"):',
        'not in ("same-origin", "none", "same-site", "cross-site"):',
        ("tests/integration/live/test_streams.py::TestAuthentication::test_stream_from_other_origin_returns_403",),
    ),
    Mutation(
        "A token opens a stream at another organisation",
        f"{PACKAGE}live.tokens",
        'scope["query_string"], headers, session]',
        'scope["query_string"], session]',
        (
            "tests/integration/live/test_tokens.py::test_token_is_refused_at_another_organisation",
            "tests/integration/live/test_tokens.py::test_token_of_a_different_request_asks_the_application",
        ),
    ),
    Mutation(
        "A token opens a stream with the session of somebody else",
        f"{PACKAGE}live.tokens",
        'scope["query_string"], headers, session]',
        'scope["query_string"], headers]',
        ("tests/integration/live/test_tokens.py::test_token_with_the_session_of_another_user_asks_the_application",),
    ),
    Mutation(
        "A token does not expire",
        f"{PACKAGE}live.tokens",
        "if time.time() < expires_at else None",
        "if True else None",
        ("tests/integration/live/test_tokens.py::test_token_expires_when_the_first_stream_does",),
    ),
    Mutation(
        "A token is given to whom the session does not identify",
        f"{PACKAGE}live.tokens",
        " or not subscriber.auth_hash:",
        ":",
        ("tests/integration/live/test_tokens.py::test_subscriber_not_authenticated_by_the_session_gets_no_token",),
    ),
    Mutation(
        "A token outlives the session and the account",
        f"{PACKAGE}live.asgi",
        "if is_honoured and await hub.is_valid(subscriber):",
        "if is_honoured:",
        (
            "tests/integration/live/test_tokens.py::test_token_of_an_ended_session_or_account_asks_the_application",
            "tests/integration/live/test_tokens.py::test_token_is_refused_after_logout",
        ),
    ),
    Mutation(
        "A token is honoured without asking whether the application serves the tenant",
        f"{PACKAGE}live.asgi",
        "is_honoured = hub.honours_tokens(subscriber.schema)",
        "is_honoured = True",
        ("tests/integration/live/test_tokens.py::test_token_of_a_tenant_not_served_lately_asks_the_application",),
    ),
    Mutation(
        "Tokens of a tenant are honoured after the application has refused it",
        f"{PACKAGE}live.hub",
        "self._served.pop(tenant.schema, None)",
        "pass",
        (
            "tests/integration/live/test_hub.py::TestRechecks::test_tokens_are_not_honoured_once_the_application_refuses",
        ),
    ),
    Mutation(
        "A change that is not told yet is forgotten when a number follows",
        f"{PACKAGE}live.streams",
        "self._changed = self._changed or changed",
        "self._changed = changed",
        ("tests/integration/live/test_events.py::test_stream_event_after_change_has_latest_unread_count",),
    ),
)
MAINTENANCE: Final = (
    Mutation(
        "An export leaves out what a person has archived, snoozed and saved",
        f"{PACKAGE}maintenance.personal_data",
        '"read_at": each.read_at, **_marks(each)},',
        '"read_at": each.read_at},',
        (
            "tests/unit/maintenance/test_personal_data.py::test_export_contains_labels_and_marks",
            "tests/unit/maintenance/test_personal_data.py::test_export_contains_every_column_of_what_user_has_received",
        ),
    ),
    Mutation(
        "An export leaves out what a person has done with a publication",
        f"{PACKAGE}maintenance.personal_data",
        "            **_marks(receipt),\n",
        "",
        (
            "tests/unit/maintenance/test_personal_data.py::test_export_contains_labels_and_marks",
            "tests/unit/maintenance/test_personal_data.py::test_export_contains_every_column_of_what_user_has_received",
        ),
    ),
    Mutation(
        "An export leaves out labels",
        f"{PACKAGE}maintenance.personal_data",
        '"url", "url_label", "extra_tags", "key", "display", "category", "group")',
        '"url", "extra_tags", "key")',
        (
            "tests/unit/maintenance/test_personal_data.py::test_export_contains_labels_and_marks",
            "tests/unit/maintenance/test_personal_data.py::test_export_for_operator_includes_broadcasts_and_platform_records",
        ),
    ),
    Mutation(
        "A sender's export says what recipients have done with their messages",
        f"{PACKAGE}maintenance.personal_data",
        'lambda each: _message(each) | {"recipient": _name(each.user)}',
        'lambda each: _message(each) | {"recipient": _name(each.user), **_marks(each)}',
        ("tests/unit/maintenance/test_personal_data.py::test_export_of_sent_messages_excludes_marks_of_recipient",),
    ),
    Mutation(
        "Receipts of what was snoozed or saved without being read outlive their reader",
        f"{PACKAGE}maintenance.personal_data",
        'PersonalRows("receipts", Receipt.objects.filter(user_id=pk))',
        'PersonalRows("receipts", Receipt.objects.filter(user_id=pk, read_at__isnull=False))',
        ("tests/unit/maintenance/test_personal_data.py::test_erase_removes_what_was_saved_snoozed_or_scheduled",),
    ),
    Mutation(
        "A saved message is purged",
        f"{PACKAGE}maintenance.purge",
        "Q(came_back, read_at__lte=cutoff, saved_at=None)",
        "Q(came_back, read_at__lte=cutoff)",
        (
            "tests/unit/maintenance/test_purge.py::test_purge_keeps_saved_and_snoozed_messages_and_deletes_archived_ones",
        ),
    ),
    Mutation(
        "A snoozed message is purged before it comes back",
        f"{PACKAGE}maintenance.purge",
        "Q(came_back, read_at__lte=cutoff, saved_at=None)",
        "Q(read_at__lte=cutoff, saved_at=None)",
        (
            "tests/unit/maintenance/test_purge.py::test_purge_keeps_snoozed_message_that_was_read_until_it_has_come_back",
        ),
    ),
    Mutation(
        "A saved publication is not saved any more after a purge",
        f"{PACKAGE}maintenance.purge",
        "return Receipt.objects.exclude(",
        "return Receipt.objects.filter(saved_at__lte=timezone.now()) | Receipt.objects.exclude(",
        (
            "tests/unit/maintenance/test_purge.py::test_purge_keeps_receipts_with_marks_until_their_publication_is_deleted",
        ),
    ),
    Mutation(
        "Staff learn from an address what a recipient has archived, snoozed or saved",
        f"{PACKAGE}admin",
        '(*CONTENT_FIELDS, *MARKS, *UNDO_FIELDS, "shows_at")',
        "CONTENT_FIELDS",
        (
            "tests/integration/web/test_admin.py::TestConfidentialTexts::test_message_filter_on_private_column_returns_400",
        ),
    ),
    Mutation(
        "Staff learn from an address what a reader has done with a publication",
        f"{PACKAGE}admin",
        "    private_fields = (*MARKS, *UNDO_FIELDS)\n",
        "",
        ("tests/integration/web/test_admin.py::TestConfidentialTexts::test_receipt_filter_on_marks_returns_400",),
    ),
    Mutation(
        "The admin shows what a recipient has archived, snoozed or saved",
        f"{PACKAGE}admin",
        '        *("read_at", "read"),\n',
        '        *("read_at", "read", "saved_at"),\n',
        ("tests/integration/web/test_admin.py::TestConfidentialTexts::test_admin_pages_hide_marks_of_recipient",),
    ),
    Mutation(
        "The hash in the audit log leaves out the title",
        f"{PACKAGE}sending.messages",
        '"text": with_title(values["title"], values["message"]),',
        '"text": values["message"],',
        ("tests/unit/models/test_audit.py::test_audit_events_contain_title_as_they_contain_text",),
    ),
)
MUTATIONS: Final = (*SENDING, *INBOX, *TRIAGE, *ACCESS, *LIVE, *MAINTENANCE)
