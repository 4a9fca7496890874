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
        f"{PACKAGE}sending",
        'require_may_send(values["sender"], to.people,',
        "require_may_send(None, to.people,",
        (
            "tests/test_sending.py::TestPolicy::test_who_may_not_write_to_one_of_them_writes_to_none",
            "tests/test_storages.py::TestPersistent::test_somebody_else_is_not_written_to_without_a_grant",
        ),
    ),
    Mutation(
        "The limit is asked about before the transaction, not inside it",
        f"{PACKAGE}sending",
        'with nobody_gone(), atomic():\n        require_room(values["sender"])',
        'require_room(values["sender"])\n    with nobody_gone(), atomic():',
        ("tests/test_limits.py::test_requests_at_once_do_not_exceed_it_together",),
    ),
    Mutation(
        "Requests at once do not wait for each other before a limit is counted",
        f"{PACKAGE}limits",
        "pg_advisory_xact_lock(hashtextextended(%s, 0))",
        "hashtextextended(%s, 0)",
        ("tests/test_limits.py::test_requests_at_once_do_not_exceed_it_together",),
    ),
    Mutation(
        "One more than the limit may be sent",
        f"{PACKAGE}limits",
        "[limit - 1 : limit]",
        "[limit : limit + 1]",
        ("tests/test_limits.py::TestWhatCounts::test_as_often_as_it_says_and_once_more_is_refused_and_writes_nothing",),
    ),
    Mutation(
        "Revisions do not count towards the limit",
        f"{PACKAGE}limits",
        "Action.BROADCAST, Action.REVISE)",
        "Action.BROADCAST)",
        ("tests/test_limits.py::TestWhatCounts::test_what_is_announced_and_revised_counts_as_well",),
    ),
    Mutation(
        "A message that has not expired makes way for the next with its key",
        f"{PACKAGE}sending",
        "filter(key=key, expires__lte=timezone.now(), user__in=chosen)",
        "filter(key=key, user__in=chosen)",
        (
            "tests/test_sending.py::TestKeys::test_nothing_is_sent_to_who_has_it_unread",
            "tests/test_storages.py::TestPersistent::test_a_key_is_not_sent_again_while_unread",
        ),
    ),
    Mutation(
        "A form that is submitted twice is sent twice",
        f"{PACKAGE}sending",
        "        if is_first:",
        "        if True:",
        ("tests/test_composing.py::TestSend::test_sent_again_it_is_sent_once_and_the_sender_is_told",),
    ),
    Mutation(
        "People of another organisation are taken for those with their keys",
        f"{PACKAGE}recipients",
        "            require_here(user)",
        "            pass",
        (
            "tests/test_sending.py::TestRecipients::test_of_another_organisation_they_are_refused",
            "tests/isolation/test_objects.py::test_a_user_of_one_tenant_is_refused_in_another_and_nothing_is_written",
        ),
    ),
    Mutation(
        "An announcement to groups reaches everyone",
        f"{PACKAGE}publishing",
        "Announcement.Audience.EVERYONE if groups is None else Announcement.Audience.GROUPS",
        "Announcement.Audience.EVERYONE",
        (
            "tests/test_publishing.py::TestGroups::test_who_is_in_the_group_when_reading_reads_it",
            "tests/test_announcing.py::TestWriting::test_to_groups_it_reaches_their_members",
        ),
    ),
    Mutation(
        "A stranger revises an announcement",
        f"{PACKAGE}publishing",
        "require_may_change(sender, locked)\n        require_room(sender)",
        "require_room(sender)",
        ("tests/test_publishing.py::TestRevise::test_a_stranger_to_it_is_refused",),
    ),
    Mutation(
        "A publication is not locked while it is changed",
        f"{PACKAGE}publishing",
        'publications.select_for_update(of=("self",)).filter(',
        "publications.filter(",
        ("tests/test_concurrency.py::TestPublishing::test_two_revisions_are_made_one_after_the_other",),
    ),
    Mutation(
        "The key of an announcement that has expired stays taken",
        f"{PACKAGE}publishing",
        "same.exclude(retracted_at=None, expires__gt=timezone.now())",
        "same.exclude(retracted_at=None)",
        ("tests/test_publishing.py::TestKeys::test_the_key_is_free_again_when_it_has_expired",),
    ),
    Mutation(
        "An announcement that is shown again keeps its revision",
        f"{PACKAGE}publishing",
        "publication.revision + 1}",
        "publication.revision}",
        (
            "tests/test_publishing.py::TestRevise::test_shown_again_it_is_unread_for_everybody_and_comes_first",
            "tests/test_announcing.py::TestChanging::test_shown_again_it_is_unread_for_everybody",
        ),
    ),
    Mutation(
        "Nobody is asked whether a person may broadcast",
        f"{PACKAGE}broadcasts.publishing",
        "require_may_broadcast(sender)",
        "require_may_broadcast(None)",
        ("tests/test_broadcasts.py::TestWhoMay::test_the_platforms_people_need_the_permission",),
    ),
    Mutation(
        "A link of any scheme is stored",
        f"{PACKAGE}validation",
        '    require_link(columns["url"])',
        "    pass",
        ("tests/test_storages.py::TestPersistent::test_a_link_that_leads_astray_is_refused",),
    ),
)
INBOX: Final = (
    Mutation(
        "An expired message is still shown",
        f"{PACKAGE}entries",
        "Message.objects.for_user(user).live(at)",
        "Message.objects.for_user(user)",
        (
            "tests/test_inbox.py::TestPage::test_it_shows_nothing_that_has_ended",
            "tests/test_storages.py::TestPersistent::test_it_is_not_shown_after_it_has_expired",
        ),
    ),
    Mutation(
        "An expired announcement is still shown",
        f"{PACKAGE}publications",
        "publish_at__lte=at, expires__gt=at)",
        "publish_at__lte=at)",
        ("tests/test_publishing.py::TestTime::test_it_appears_when_its_time_comes_and_goes_when_it_is_over",),
    ),
    Mutation(
        "An announcement is shown before its time",
        f"{PACKAGE}publications",
        "self.filter(retracted_at=None, publish_at__lte=at, ",
        "self.filter(retracted_at=None, ",
        (
            "tests/test_publishing.py::TestTime::test_it_appears_when_its_time_comes_and_goes_when_it_is_over",
            "tests/test_broadcasts.py::TestBroadcast::test_it_appears_in_its_time",
        ),
    ),
    Mutation(
        "A retracted announcement is still shown",
        f"{PACKAGE}publications",
        "self.filter(retracted_at=None, publish_at__lte=at, ",
        "self.filter(publish_at__lte=at, ",
        (
            "tests/test_publishing.py::TestRetract::test_it_is_taken_from_everybody_at_the_next_request",
            "tests/test_broadcasts.py::TestReading::test_a_revision_and_a_retraction_are_seen_at_once_everywhere",
        ),
    ),
    Mutation(
        "A broadcast to another organisation is shown",
        f"{PACKAGE}entries",
        "Broadcast.objects.addressed_to(reader.schema)",
        "Broadcast.objects.all()",
        ("tests/test_broadcasts.py::TestBroadcast::test_chosen_organisations_read_it_and_no_other",),
    ),
    Mutation(
        "An announcement to a group is shown to everyone",
        f"{PACKAGE}entries",
        "Announcement.objects.addressed_to(user)",
        "Announcement.objects.all()",
        ("tests/test_publishing.py::TestGroups::test_who_is_in_the_group_when_reading_reads_it",),
    ),
    Mutation(
        "Of entries with one time, the next page leaves out the rest",
        f"{PACKAGE}entries",
        "return not_later & (earlier | Q(pk__lt=reader.after_id))",
        "return earlier",
        ("tests/test_inbox_properties.py::test_walking_all_pages_finds_each_entry_once_in_the_order_of_one_list",),
    ),
    Mutation(
        "What must be acknowledged is marked with all the rest",
        f"{PACKAGE}inbox",
        'publications.filter(must_acknowledge=False).values_list("pk", "revision")',
        'publications.values_list("pk", "revision")',
        ("tests/test_inbox.py::TestMarking::test_what_must_be_acknowledged_can_only_be",),
    ),
    Mutation(
        "What has come since the page was made is marked with it",
        f"{PACKAGE}inbox",
        "messages = messages.filter(snapshot.seen_messages)",
        "messages = messages.all()",
        (
            "tests/test_inbox.py::TestMarkingAll::test_what_has_come_since_the_page_was_shown_stays",
            "tests/test_pages.py::TestMarkingAll::test_what_has_come_since_the_page_was_made_stays_unread",
        ),
    ),
    Mutation(
        "The current revision is marked as read, not the one that was shown",
        f"{PACKAGE}inbox",
        '.values_list("pk", "shown"))',
        '.values_list("pk", "revision"))',
        (
            "tests/test_inbox.py::TestMarking::test_what_was_shown_is_marked_not_what_is_there_now",
            "tests/test_publishing.py::TestAcknowledging::test_what_was_revised_meanwhile_stays_unread",
        ),
    ),
    Mutation(
        "Undo restores what was read before too",
        f"{PACKAGE}inbox",
        "messages_of(self.user).filter(read_at=at).mark_unread()",
        "messages_of(self.user).filter(read_at__lte=at).mark_unread()",
        ("tests/test_inbox.py::TestMarkingAll::test_undo_restores_exactly_what_it_changed",),
    ),
    Mutation(
        "A page shows what was unread before its own request changed it",
        f"{PACKAGE}unread",
        "key = (current_schema(), user.pk, changes())",
        "key = (current_schema(), user.pk)",
        ("tests/test_pages.py::TestBell::test_what_a_request_has_changed_itself_is_read_again",),
    ),
    Mutation(
        "Somebody else's undo is taken for one's own",
        f"{PACKAGE}undo",
        ":{schema_of(request)}:{user.pk}",
        ":{schema_of(request)}",
        ("tests/test_pages.py::TestMarkingAll::test_somebody_elses_undo_is_none",),
    ),
    Mutation(
        "The time at which a query was first compiled stays in it",
        f"{PACKAGE}prepared",
        "at=datetime(1900 + seed, 1, 1, tzinfo=UTC),",
        "at=datetime(2020, 1, 1, tzinfo=UTC),",
        ("tests/test_prepared.py::test_time_goes_on",),
    ),
    Mutation(
        "A host's own members are compiled once for all readers",
        f"{PACKAGE}prepared",
        "return None if settings.members else _template(",
        "return _template(",
        ("tests/test_prepared.py::test_where_a_host_says_who_the_members_are_nothing_is_prepared",),
    ),
    Mutation(
        "A report names people whom its viewer may not see",
        f"{PACKAGE}reports",
        'people.filter(pk__in=policy().visible_people(viewer).values("pk"))',
        "people",
        (
            "tests/test_reports.py::TestPeople::test_a_viewer_sees_only_whom_they_may_see_named_but_all_of_the_numbers",
            "tests/test_announcing.py::TestReaders::test_only_who_may_be_seen_is_named",
        ),
    ),
    Mutation(
        "Counts of an earlier revision of a broadcast are added up",
        f"{PACKAGE}broadcasts.counting",
        "filter(broadcast=broadcast, revision=broadcast.revision)",
        "filter(broadcast=broadcast)",
        ("tests/test_counting.py::TestCounting::test_shown_again_all_of_it_counts_anew",),
    ),
)
ACCESS: Final = (
    Mutation(
        "Inactive people are members",
        f"{PACKAGE}policy",
        "people.filter(is_active=True) if _can_be_inactive(people)",
        "people if _can_be_inactive(people)",
        (
            "tests/test_policy.py::test_inactive_people_neither_send_nor_receive",
            "tests/test_sending.py::TestRecipients::test_of_a_group_and_of_a_queryset_who_is_inactive_is_left_out",
        ),
    ),
    Mutation(
        "Somebody who has been deactivated since they were loaded may write",
        f"{PACKAGE}policy",
        "people.filter(allowed, Exists(_member(sender)))",
        "people.filter(allowed)",
        ("tests/test_policy.py::test_inactive_people_neither_send_nor_receive",),
    ),
    Mutation(
        "Whoever may write to one group of several may announce to all of them",
        f"{PACKAGE}policy",
        'bool(counts["all"]) and counts["all"] == counts["allowed"]',
        'bool(counts["all"]) and bool(counts["allowed"])',
        ("tests/test_policy.py::test_announcing_to_groups_needs_a_grant_on_each_of_them",),
    ),
    Mutation(
        "Everybody may change an announcement to a group that they may announce to",
        f"{PACKAGE}policy",
        "announcement.sender_id is None or announcement.sender_id != sender.pk",
        "announcement.sender_id is None",
        ("tests/test_policy.py::test_an_announcement_is_changed_by_who_holds_the_permission_or_could_send_it_again",),
    ),
    Mutation(
        "One's own announcement may be changed after the right to announce is gone",
        f"{PACKAGE}policy",
        "return self.may_announce(sender, groups)\n",
        "return True\n",
        (
            "tests/test_policy.py::test_ones_own_announcement_to_everybody_is_changed_while_one_may_announce",
            "tests/test_announcing.py::TestWhoGetsIn::test_what_one_may_not_announce_any_more_one_may_not_change",
        ),
    ),
    Mutation(
        "The permission to broadcast counts in every organisation",
        f"{PACKAGE}policy",
        "if here != settings.platform_schema or not",
        "if not",
        (
            "tests/test_policy.py::test_only_the_platforms_staff_may_broadcast",
            "tests/test_broadcasts.py::TestWhoMay::test_the_permission_granted_in_a_tenant_means_nothing",
        ),
    ),
    Mutation(
        "Whoever may grant gives what they do not hold",
        f"{PACKAGE}policy",
        "reached.filter(pk=target.pk)",
        "reached",
        ("tests/test_granting.py::TestGrant::test_nobody_gives_what_they_do_not_hold",),
    ),
    Mutation(
        "Whether somebody may write is asked of the replica",
        f"{PACKAGE}policy",
        "for_write(self.recipients_for(sender).filter(pk=recipient.pk)).exists()",
        "self.recipients_for(sender).filter(pk=recipient.pk).exists()",
        ("tests/test_policy.py::test_whether_one_may_write_is_asked_of_the_database_that_is_written",),
    ),
    Mutation(
        "Recipients are not locked between the check and the message",
        f"{PACKAGE}policy",
        " FOR KEY SHARE OF person",
        "",
        (
            "tests/test_concurrency.py::TestSending::test_checked_recipient_cannot_be_deleted_before_the_transaction_ends",
        ),
    ),
    Mutation(
        "A permission of the same name in another app is a grant",
        f"{PACKAGE}grants",
        '"permission__codename": right.codename, "permission__content_type__app_label": right.app_label}',
        '"permission__codename": right.codename}',
        ("tests/test_policy.py::test_a_permission_of_the_same_name_in_another_app_opens_nothing",),
    ),
    Mutation(
        "What one group holds on all, everybody holds",
        f"{PACKAGE}grants",
        "Permission.objects.filter(wanted, group__in=keys_of_groups_of(user))",
        "Permission.objects.filter(wanted, group__isnull=False)",
        ("tests/test_policy.py::test_what_others_hold_opens_nobody",),
    ),
    Mutation(
        "Grants outlive their target",
        f"{PACKAGE}grants",
        "_rows(rows, right).filter(object_pk=str(instance.pk)).delete()",
        "pass",
        ("tests/test_policy.py::test_grants_die_with_their_target_and_other_permissions_on_it_are_left_alone",),
    ),
    Mutation(
        "A host's own policy is compiled once for all people",
        f"{PACKAGE}doors",
        "if overrides(kind, *ANSWERS):",
        "if False:",
        ("tests/test_links_to_pages.py::test_a_hosts_own_policy_is_asked",),
    ),
    Mutation(
        "A host's own answer about announcements is not asked for",
        f"{PACKAGE}doors",
        "if overrides(kind, *ANNOUNCEMENTS) else announcements",
        "if False else announcements",
        ("tests/test_announcing.py::TestAHostsOwnPolicy::test_says_who_is_led_to_which_page",),
    ),
)
LIVE: Final = (
    Mutation(
        "A hint names the schema that is current at the commit",
        f"{PACKAGE}push.hints",
        "for text in hint.texts(bus.limit)",
        "for text in Hint(current_schema(), hint.users, hint.groups, hint.everyone).texts(bus.limit)",
        (
            "tests/isolation/test_deferred.py::test_a_hint_names_the_schema_of_the_change",
            "tests/push/test_hints.py::TestWhen::test_not_before_the_commit_and_in_the_schema_of_the_change",
        ),
    ),
    Mutation(
        "A hint is published before the commit",
        f"{PACKAGE}push.hints",
        "transaction.on_commit(Publication(hints).publish, using=connection.alias, robust=True)",
        "Publication(hints).publish()",
        (
            "tests/push/test_hints.py::TestWhen::test_not_before_the_commit_and_in_the_schema_of_the_change",
            "tests/push/test_hints.py::TestWhen::test_never_after_a_rollback",
        ),
    ),
    Mutation(
        "A hint for many people is not split",
        f"{PACKAGE}push.hints",
        "if part and size > room:",
        "if False:",
        ("tests/push/test_hints.py::test_a_hint_for_very_many_fits_into_what_the_database_takes",),
    ),
    Mutation(
        "A change of an account is not looked at at once",
        f"{PACKAGE}push.hints",
        'if created or (update_fields is not None and set(update_fields) <= {"last_login"}):',
        "if True:",
        ("tests/push/test_hints.py::TestWhom::test_accounts_whose_right_to_stay_may_have_changed",),
    ),
    Mutation(
        "The streams of a session stay open when it logs out",
        f"{PACKAGE}push.hub",
        "for session in hint.sessions & self.sessions.keys():",
        "for session in ():",
        ("tests/push/test_hub.py::test_end_of_a_session_ends_its_streams_alone",),
    ),
    Mutation(
        "The next change by itself is not looked up again after a publication",
        f"{PACKAGE}push.hub",
        "self.alarm_is_stale |= bool(hint.groups) or hint.everyone",
        "pass",
        ("tests/push/test_live.py::TestOneOrganisation::test_what_appears_and_disappears_by_itself",),
    ),
    Mutation(
        "After a gap nothing is counted again",
        f"{PACKAGE}push.hub",
        "Hint(None, everyone=True) if text is None",
        "Hint(None) if text is None",
        ("tests/push/test_hub.py::test_everybody_is_told_again_after_a_gap",),
    ),
    Mutation(
        "The streams of an organisation that is closed stay open",
        f"{PACKAGE}push.hub",
        "if room.refused >= 2:",
        "if False:",
        ("tests/push/test_hub.py::TestWhoMayStay::test_of_an_organisation_whose_schema_is_gone_nobody",),
    ),
    Mutation(
        "Somebody inactive keeps their stream",
        f"{PACKAGE}push.looking",
        "for user in for_write(people.filter(pk__in=keys)) if user.is_active}",
        "for user in for_write(people.filter(pk__in=keys))}",
        ("tests/push/test_hub.py::TestWhoMayStay::test_nobody_who_is_inactive",),
    ),
    Mutation(
        "Somebody whose password has changed keeps their stream",
        f"{PACKAGE}push.looking",
        "return holder.auth_hash is None or constant_time_compare(",
        "return True or constant_time_compare(",
        ("tests/push/test_hub.py::TestWhoMayStay::test_nobody_whose_password_has_changed",),
    ),
    Mutation(
        "Unread messages are counted in the replica",
        f"{PACKAGE}push.looking",
        "with schema_context(schema), reading_what_is_written():\n        return {str(key)",
        "with schema_context(schema):\n        return {str(key)",
        ("tests/push/test_hub.py::test_unread_messages_are_counted_in_the_database_that_is_written",),
    ),
    Mutation(
        "A stream is served that a middleware has refused after the view",
        f"{PACKAGE}push.asgi",
        'if start["status"] != EMPTY:',
        "if False:",
        ("tests/push/test_asgi.py::test_what_a_middleware_says_after_the_view_counts",),
    ),
    Mutation(
        "A page of another site opens a stream",
        f"{PACKAGE}views.streaming",
        'not in ("same-origin", "none"):',
        'not in ("same-origin", "none", "same-site", "cross-site"):',
        ("tests/push/test_streams.py::TestWho::test_no_page_of_another_origin_opens_one",),
    ),
    Mutation(
        "A change that is not told yet is forgotten when a number follows",
        f"{PACKAGE}push.streams",
        "self._changed = self._changed or changed",
        "self._changed = changed",
        ("tests/push/test_events.py::test_change_is_told_with_the_number_that_follows_it",),
    ),
)
MUTATIONS: Final = (*SENDING, *INBOX, *ACCESS, *LIVE)
