"""Sixty faults that a change of the code could bring in, and the tests that fail with each.

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
        'require_may_send(values["sender"], people,',
        "require_may_send(None, people,",
        (
            "tests/unit/sending/test_messages.py::TestPolicy::test_who_may_not_write_to_one_of_them_writes_to_none",
            "tests/unit/storages/test_storages.py::TestPersistent::test_somebody_else_is_not_written_to_without_a_grant",
        ),
    ),
    Mutation(
        "The limit is asked about before the transaction, not inside it",
        f"{PACKAGE}sending.messages",
        'with translate_fk_violation(), atomic():\n        check_rate_limit(values["sender"])',
        'check_rate_limit(values["sender"])\n    with translate_fk_violation(), atomic():',
        ("tests/integration/test_rate_limits.py::test_requests_at_once_do_not_exceed_it_together",),
    ),
    Mutation(
        "Requests at once do not wait for each other before a limit is counted",
        f"{PACKAGE}access.sql",
        "pg_advisory_xact_lock(hashtextextended(%(speaker)s, 0))",
        "hashtextextended(%(speaker)s, 0)",
        ("tests/integration/test_rate_limits.py::test_requests_at_once_do_not_exceed_it_together",),
    ),
    Mutation(
        "One more than the limit may be sent",
        f"{PACKAGE}access.rate_limits",
        "[limit - 1 : limit]",
        "[limit : limit + 1]",
        (
            "tests/integration/test_rate_limits.py::TestWhatCounts::test_as_often_as_it_says_and_once_more_is_refused_and_writes_nothing",
        ),
    ),
    Mutation(
        "Revisions do not count towards the limit",
        f"{PACKAGE}access.rate_limits",
        "Action.BROADCAST, Action.REVISE)",
        "Action.BROADCAST)",
        ("tests/integration/test_rate_limits.py::TestWhatCounts::test_what_is_announced_and_revised_counts_as_well",),
    ),
    Mutation(
        "A message that has not expired makes way for the next with its key",
        f"{PACKAGE}sending.messages",
        "with_key.filter(expires__lte=timezone.now()).unread()",
        "with_key.unread()",
        (
            "tests/unit/sending/test_messages.py::TestKeys::test_nothing_is_sent_to_who_has_it_unread",
            "tests/unit/storages/test_storages.py::TestPersistent::test_a_key_is_not_sent_again_while_unread",
        ),
    ),
    Mutation(
        "A form that is submitted twice is sent twice",
        f"{PACKAGE}sending.idempotency",
        "        if is_first:",
        "        if True:",
        ("tests/integration/web/test_compose.py::TestSend::test_sent_again_it_is_sent_once_and_the_sender_is_told",),
    ),
    Mutation(
        "People of another organisation are taken for those with their keys",
        f"{PACKAGE}sending.recipients",
        "            require_here(user)",
        "            pass",
        (
            "tests/unit/sending/test_messages.py::TestRecipients::test_of_another_organisation_they_are_refused",
            "tests/isolation/test_objects.py::test_a_user_of_one_tenant_is_refused_in_another_and_nothing_is_written",
        ),
    ),
    Mutation(
        "An announcement to groups reaches everyone",
        f"{PACKAGE}sending.publications",
        "audience=model.for_everybody if chosen is None else model.for_chosen",
        "audience=model.for_everybody",
        (
            "tests/unit/sending/test_publications.py::TestGroups::test_who_is_in_the_group_when_reading_reads_it",
            "tests/integration/web/test_announcements.py::TestWriting::test_to_groups_it_reaches_their_members",
        ),
    ),
    Mutation(
        "A stranger revises an announcement",
        f"{PACKAGE}sending.publications",
        "access_to(type(publication)).require_may_change(sender, locked)\n        check_rate_limit",
        "check_rate_limit",
        ("tests/unit/sending/test_publications.py::TestRevise::test_a_stranger_to_it_is_refused",),
    ),
    Mutation(
        "A publication is not locked while it is changed",
        f"{PACKAGE}sending.publications",
        'publications.select_for_update(of=("self",)).filter(',
        "publications.filter(",
        ("tests/integration/test_concurrency.py::TestPublishing::test_two_revisions_are_made_one_after_the_other",),
    ),
    Mutation(
        "The key of an announcement that has expired stays taken",
        f"{PACKAGE}sending.idempotency",
        "same.exclude(retracted_at=None, expires__gt=timezone.now())",
        "same.exclude(retracted_at=None)",
        ("tests/unit/sending/test_publications.py::TestKeys::test_the_key_is_free_again_when_it_has_expired",),
    ),
    Mutation(
        "An announcement that is shown again keeps its revision",
        f"{PACKAGE}sending.publications",
        "publication.revision + 1}",
        "publication.revision}",
        (
            "tests/unit/sending/test_publications.py::TestRevise::test_shown_again_it_is_unread_for_everybody_and_comes_first",
            "tests/integration/web/test_announcements.py::TestChanging::test_shown_again_it_is_unread_for_everybody",
        ),
    ),
    Mutation(
        "Nobody is asked whether a person may broadcast",
        f"{PACKAGE}access.publications",
        "require_may_broadcast(sender, action)",
        "require_may_broadcast(None, action)",
        ("tests/unit/sending/test_broadcasts.py::TestWhoMay::test_the_platforms_people_need_the_permission",),
    ),
    Mutation(
        "A link of any scheme is stored",
        f"{PACKAGE}sending.cleaning",
        '    require_link(columns["url"])',
        "    pass",
        ("tests/unit/storages/test_storages.py::TestPersistent::test_a_link_that_leads_astray_is_refused",),
    ),
)
INBOX: Final = (
    Mutation(
        "An expired message is still shown",
        f"{PACKAGE}inbox.feed",
        "Message.objects.for_user(user).live(at)",
        "Message.objects.for_user(user)",
        (
            "tests/unit/inbox/test_inbox.py::TestPage::test_it_shows_nothing_that_has_ended",
            "tests/unit/storages/test_storages.py::TestPersistent::test_it_is_not_shown_after_it_has_expired",
        ),
    ),
    Mutation(
        "An expired announcement is still shown",
        f"{PACKAGE}models.publication",
        "publish_at__lte=at, expires__gt=at)",
        "publish_at__lte=at)",
        (
            "tests/unit/sending/test_publications.py::TestTime::test_it_appears_when_its_time_comes_and_goes_when_it_is_over",
        ),
    ),
    Mutation(
        "An announcement is shown before its time",
        f"{PACKAGE}models.publication",
        "self.filter(retracted_at=None, publish_at__lte=at, ",
        "self.filter(retracted_at=None, ",
        (
            "tests/unit/sending/test_publications.py::TestTime::test_it_appears_when_its_time_comes_and_goes_when_it_is_over",
            "tests/unit/sending/test_broadcasts.py::TestBroadcast::test_it_appears_in_its_time",
        ),
    ),
    Mutation(
        "A retracted announcement is still shown",
        f"{PACKAGE}models.publication",
        "self.filter(retracted_at=None, publish_at__lte=at, ",
        "self.filter(publish_at__lte=at, ",
        (
            "tests/unit/sending/test_publications.py::TestRetract::test_it_is_taken_from_everybody_at_the_next_request",
            "tests/unit/sending/test_broadcasts.py::TestReading::test_a_revision_and_a_retraction_are_seen_at_once_everywhere",
        ),
    ),
    Mutation(
        "A broadcast to another organisation is shown",
        f"{PACKAGE}inbox.feed",
        "Broadcast.objects.addressed_to(schema)",
        "Broadcast.objects.all()",
        ("tests/unit/sending/test_broadcasts.py::TestBroadcast::test_chosen_organisations_read_it_and_no_other",),
    ),
    Mutation(
        "An announcement to a group is shown to everyone",
        f"{PACKAGE}inbox.feed",
        "Announcement.objects.addressed_to(user)",
        "Announcement.objects.all()",
        ("tests/unit/sending/test_publications.py::TestGroups::test_who_is_in_the_group_when_reading_reads_it",),
    ),
    Mutation(
        "Of entries with one time, the next page leaves out the rest",
        f"{PACKAGE}inbox.feed",
        "return not_later & (earlier | Q(pk__lt=last_id))",
        "return earlier",
        (
            "tests/integration/test_inbox_properties.py::test_walking_all_pages_finds_each_entry_once_in_the_order_of_one_list",
        ),
    ),
    Mutation(
        "What must be acknowledged is marked with all the rest",
        f"{PACKAGE}inbox.inbox",
        'each.filter(must_acknowledge=False).values_list("pk", "revision")',
        'each.values_list("pk", "revision")',
        ("tests/unit/inbox/test_inbox.py::TestMarking::test_what_must_be_acknowledged_can_only_be",),
    ),
    Mutation(
        "What has come since the page was made is marked with it",
        f"{PACKAGE}inbox.inbox",
        "messages = messages.filter(snapshot.seen_messages)",
        "messages = messages.all()",
        (
            "tests/unit/inbox/test_inbox.py::TestMarkingAll::test_what_has_come_since_the_page_was_shown_stays",
            "tests/integration/web/test_pages.py::TestMarkingAll::test_what_has_come_since_the_page_was_made_stays_unread",
        ),
    ),
    Mutation(
        "The current revision is marked as read, not the one that was shown",
        f"{PACKAGE}inbox.inbox",
        '.values_list("pk", "shown"))',
        '.values_list("pk", "revision"))',
        (
            "tests/unit/inbox/test_inbox.py::TestMarking::test_what_was_shown_is_marked_not_what_is_there_now",
            "tests/unit/sending/test_publications.py::TestAcknowledging::test_what_was_revised_meanwhile_stays_unread",
        ),
    ),
    Mutation(
        "Undo restores what was read before too",
        f"{PACKAGE}inbox.inbox",
        "messages_of(self.user).filter(read_at=at).mark_unread()",
        "messages_of(self.user).filter(read_at__lte=at).mark_unread()",
        ("tests/unit/inbox/test_inbox.py::TestMarkingAll::test_undo_restores_exactly_what_it_changed",),
    ),
    Mutation(
        "A page shows what was unread before its own request changed it",
        f"{PACKAGE}inbox.unread",
        "key = (current_schema(), user.pk, change_counter())",
        "key = (current_schema(), user.pk)",
        ("tests/integration/web/test_pages.py::TestBell::test_what_a_request_has_changed_itself_is_read_again",),
    ),
    Mutation(
        "Somebody else's undo is taken for one's own",
        f"{PACKAGE}web.tokens",
        ":{schema_of(request)}:{request.user.pk}",
        ":{schema_of(request)}",
        ("tests/integration/web/test_pages.py::TestMarkingAll::test_somebody_elses_undo_is_none",),
    ),
    Mutation(
        "The time at which a query was first compiled stays in it",
        f"{PACKAGE}queries.compiled",
        "{name: Slot(name) for name in key.values if name not in people}",
        "{name: __import__('datetime').datetime(2020, 1, 1, tzinfo=__import__('datetime').UTC) "
        "if name == 'at' else Slot(name) for name in key.values if name not in people}",
        (
            "tests/unit/queries/test_compiled.py::test_time_goes_on_for_a_query_that_is_kept",
            "tests/unit/queries/test_compiled.py::test_each_compiled_query_returns_what_the_orm_returns",
        ),
    ),
    Mutation(
        "A host's own members are compiled once for all readers",
        f"{PACKAGE}queries.compiled",
        "if settings.members or not isinstance(build",
        "if not isinstance(build",
        ("tests/unit/queries/test_compiled.py::test_nothing_is_kept_where_a_host_says_who_the_members_are",),
    ),
    Mutation(
        "A report names people whom its viewer may not see",
        f"{PACKAGE}inbox.reports",
        'people.filter(pk__in=policy().visible_people(viewer).values("pk"))',
        "people",
        (
            "tests/unit/inbox/test_reports.py::TestPeople::test_a_viewer_sees_only_whom_they_may_see_named_but_all_of_the_numbers",
            "tests/integration/web/test_announcements.py::TestReaders::test_only_who_may_be_seen_is_named",
        ),
    ),
    Mutation(
        "Counts of an earlier revision of a broadcast are added up",
        f"{PACKAGE}inbox.broadcast_counts",
        "filter(broadcast=broadcast, revision=broadcast.revision)",
        "filter(broadcast=broadcast)",
        ("tests/unit/inbox/test_broadcast_counts.py::TestCounting::test_shown_again_all_of_it_counts_anew",),
    ),
)
ACCESS: Final = (
    Mutation(
        "Inactive people are members",
        f"{PACKAGE}access.membership",
        "people.filter(Q(is_active=True)) if has_activity_flag(people)",
        "people if has_activity_flag(people)",
        (
            "tests/unit/access/test_policy.py::test_inactive_people_neither_send_nor_receive",
            "tests/unit/sending/test_messages.py::TestRecipients::test_of_a_group_and_of_a_queryset_who_is_inactive_is_left_out",
        ),
    ),
    Mutation(
        "Somebody who has been deactivated since they were loaded may write",
        f"{PACKAGE}access.policy",
        "people.filter(allowed, Exists(member(sender)))",
        "people.filter(allowed)",
        ("tests/unit/access/test_policy.py::test_inactive_people_neither_send_nor_receive",),
    ),
    Mutation(
        "Whoever may write to one group of several may announce to all of them",
        f"{PACKAGE}access.policy",
        'bool(counts["all"]) and counts["all"] == counts["allowed"]',
        'bool(counts["all"]) and bool(counts["allowed"])',
        ("tests/unit/access/test_policy.py::test_announcing_to_groups_needs_a_grant_on_each_of_them",),
    ),
    Mutation(
        "Everybody may change an announcement to a group that they may announce to",
        f"{PACKAGE}access.policy",
        "announcement.sender_id is None or announcement.sender_id != sender.pk",
        "announcement.sender_id is None",
        (
            "tests/unit/access/test_policy.py::test_an_announcement_is_changed_by_who_holds_the_permission_or_could_send_it_again",
        ),
    ),
    Mutation(
        "One's own announcement may be changed after the right to announce is gone",
        f"{PACKAGE}access.policy",
        "return self.may_announce(sender, groups)\n",
        "return True\n",
        (
            "tests/unit/access/test_policy.py::test_ones_own_announcement_to_everybody_is_changed_while_one_may_announce",
            "tests/integration/web/test_announcements.py::TestWhoGetsIn::test_what_one_may_not_announce_any_more_one_may_not_change",
        ),
    ),
    Mutation(
        "The permission to broadcast counts in every organisation",
        f"{PACKAGE}access.policy",
        "if here != settings.platform_schema or not",
        "if not",
        (
            "tests/unit/access/test_policy.py::test_only_the_platforms_staff_may_broadcast",
            "tests/unit/sending/test_broadcasts.py::TestWhoMay::test_the_permission_granted_in_a_tenant_means_nothing",
        ),
    ),
    Mutation(
        "Whoever may grant gives what they do not hold",
        f"{PACKAGE}access.policy",
        "reached.filter(pk=target.pk)",
        "reached",
        ("tests/integration/web/test_grants.py::TestGrant::test_nobody_gives_what_they_do_not_hold",),
    ),
    Mutation(
        "Whether somebody may write is asked of the replica",
        f"{PACKAGE}access.policy",
        "for_write(self.reachable_people(sender).filter(pk=recipient.pk)).exists()",
        "self.reachable_people(sender).filter(pk=recipient.pk).exists()",
        ("tests/unit/access/test_policy.py::test_whether_one_may_write_is_asked_of_the_database_that_is_written",),
    ),
    Mutation(
        "Recipients are not locked between the check and the message",
        f"{PACKAGE}access.sql",
        " FOR KEY SHARE OF person",
        "",
        (
            "tests/integration/test_concurrency.py::TestSending::test_checked_recipient_cannot_be_deleted_before_the_transaction_ends",
        ),
    ),
    Mutation(
        "A permission of the same name in another app is a grant",
        f"{PACKAGE}access.grants",
        '"permission__codename": right.codename, "permission__content_type__app_label": right.app_label}',
        '"permission__codename": right.codename}',
        ("tests/unit/access/test_policy.py::test_a_permission_of_the_same_name_in_another_app_opens_nothing",),
    ),
    Mutation(
        "What one group holds on all, everybody holds",
        f"{PACKAGE}access.grants",
        "Permission.objects.filter(wanted, group__in=keys_of_groups_of(user))",
        "Permission.objects.filter(wanted, group__isnull=False)",
        ("tests/unit/access/test_policy.py::test_what_others_hold_opens_nobody",),
    ),
    Mutation(
        "Grants outlive their target",
        f"{PACKAGE}access.grants",
        "_rows(rows, right).filter(object_pk=str(instance.pk)).delete()",
        "pass",
        (
            "tests/unit/access/test_policy.py::test_grants_die_with_their_target_and_other_permissions_on_it_are_left_alone",
        ),
    ),
    Mutation(
        "A host's own policy is compiled once for all people",
        f"{PACKAGE}access.policy_queries",
        "kind in BUILT_IN and has_plain_managers()",
        "has_plain_managers()",
        ("tests/unit/access/test_page_access.py::test_a_hosts_own_policy_is_asked",),
    ),
    Mutation(
        "A host's own answer about announcements is not asked for",
        f"{PACKAGE}access.pages",
        "announcements=announcements or asked.may_announce_to_everyone(person)",
        "announcements=announcements",
        ("tests/unit/access/test_page_access.py::test_what_a_hosts_policy_answers_by_yes_or_no_is_asked_of_it",),
    ),
)
LIVE: Final = (
    Mutation(
        "A hint names the schema that is current at the commit",
        f"{PACKAGE}events.changes",
        "for text in event.texts(bus.limit)",
        "for text in ChangeEvent(current_schema(), hint.users, hint.groups, hint.everyone).texts(bus.limit)",
        (
            "tests/isolation/test_deferred.py::test_a_hint_names_the_schema_of_the_change",
            "tests/integration/live/test_change_events.py::TestWhen::test_not_before_the_commit_and_in_the_schema_of_the_change",
        ),
    ),
    Mutation(
        "A hint is published before the commit",
        f"{PACKAGE}events.changes",
        "transaction.on_commit(PendingEvents(events).publish, using=connection.alias, robust=True)",
        "PendingEvents(events).publish()",
        (
            "tests/integration/live/test_change_events.py::TestWhen::test_not_before_the_commit_and_in_the_schema_of_the_change",
            "tests/integration/live/test_change_events.py::TestWhen::test_never_after_a_rollback",
        ),
    ),
    Mutation(
        "A hint for many people is not split",
        f"{PACKAGE}events.changes",
        "if part and size > limit:",
        "if False:",
        ("tests/integration/live/test_change_events.py::test_a_hint_for_very_many_fits_into_what_the_database_takes",),
    ),
    Mutation(
        "A change of an account is not looked at at once",
        f"{PACKAGE}events.changes",
        'if created or (update_fields is not None and set(update_fields) <= {"last_login"}):',
        "if True:",
        ("tests/integration/live/test_change_events.py::TestWhom::test_accounts_whose_right_to_stay_may_have_changed",),
    ),
    Mutation(
        "The streams of a session stay open when it logs out",
        f"{PACKAGE}live.hub",
        "for session in event.sessions & self.sessions.keys():",
        "for session in ():",
        ("tests/integration/live/test_hub.py::test_end_of_a_session_ends_its_streams_alone",),
    ),
    Mutation(
        "The next change by itself is not looked up again after a publication",
        f"{PACKAGE}live.hub",
        "self.refresh_is_stale |= bool(event.groups) or event.everyone",
        "pass",
        ("tests/integration/live/test_live.py::TestOneOrganisation::test_what_appears_and_disappears_by_itself",),
    ),
    Mutation(
        "After a gap nothing is counted again",
        f"{PACKAGE}live.hub",
        "ChangeEvent(None, everyone=True) if text is None",
        "ChangeEvent(None) if text is None",
        ("tests/integration/live/test_hub.py::test_everybody_is_told_again_after_a_gap",),
    ),
    Mutation(
        "The streams of an organisation that is closed stay open",
        f"{PACKAGE}live.hub",
        "if tenant.refused >= 2:",
        "if False:",
        ("tests/integration/live/test_hub.py::TestWhoMayStay::test_of_an_organisation_whose_schema_is_gone_nobody",),
    ),
    Mutation(
        "Somebody inactive keeps their stream",
        f"{PACKAGE}live.queries",
        "for user in for_write(people.filter(pk__in=keys)) if user.is_active}",
        "for user in for_write(people.filter(pk__in=keys))}",
        ("tests/integration/live/test_hub.py::TestWhoMayStay::test_nobody_who_is_inactive",),
    ),
    Mutation(
        "Somebody whose password has changed keeps their stream",
        f"{PACKAGE}live.queries",
        "return subscriber.auth_hash is None or constant_time_compare(",
        "return True or constant_time_compare(",
        ("tests/integration/live/test_hub.py::TestWhoMayStay::test_nobody_whose_password_has_changed",),
    ),
    Mutation(
        "Unread messages are counted in the replica",
        f"{PACKAGE}live.queries",
        "with schema_context(schema), reading_from_primary():\n        return {str(key)",
        "with schema_context(schema):\n        return {str(key)",
        ("tests/integration/live/test_hub.py::test_unread_messages_are_counted_in_the_database_that_is_written",),
    ),
    Mutation(
        "A stream is served that a middleware has refused after the view",
        f"{PACKAGE}live.asgi",
        'if start["status"] != STREAM_STATUS:',
        "if False:",
        ("tests/integration/live/test_asgi.py::test_what_a_middleware_says_after_the_view_counts",),
    ),
    Mutation(
        "A page of another site opens a stream",
        f"{PACKAGE}web.stream",
        'not in ("same-origin", "none"):',
        'not in ("same-origin", "none", "same-site", "cross-site"):',
        ("tests/integration/live/test_streams.py::TestWho::test_no_page_of_another_origin_opens_one",),
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
            "tests/integration/live/test_hub.py::TestWhoMayStay::test_tokens_are_not_honoured_once_the_application_refuses",
        ),
    ),
    Mutation(
        "A change that is not told yet is forgotten when a number follows",
        f"{PACKAGE}live.streams",
        "self._changed = self._changed or changed",
        "self._changed = changed",
        ("tests/integration/live/test_events.py::test_change_is_told_with_the_number_that_follows_it",),
    ),
)
MUTATIONS: Final = (*SENDING, *INBOX, *ACCESS, *LIVE)
