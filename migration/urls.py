"""Every page on one screen."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path, re_path

from migration.views import (
    accounts,
    connect,
    executive,
    instances,
    launches,
    overview,
    plans,
    quality,
    runs,
    site,
    waivers,
)

ACCOUNT = r"^accounts/(?P<account_id>[0-9]{12})/"

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("executive/", executive.executive, name="executive"),
    path("accounts/", accounts.accounts, name="accounts"),
    path("accounts/connect/", connect.connect, name="connect"),
    re_path(rf"{ACCOUNT}$", accounts.account, name="account"),
    re_path(rf"{ACCOUNT}test/$", connect.test_role, name="test_role"),
    re_path(rf"{ACCOUNT}plan/$", accounts.draft_plan, name="draft_plan"),
    path("instances/", instances.instances, name="instances"),
    path("instances/<int:pk>/", instances.instance, name="instance"),
    path("instances/<int:pk>/hop-limit/", instances.choose_hop_limit, name="choose_hop_limit"),
    path("launch-sources/", launches.launch_sources, name="launch_sources"),
    path("plans/<int:pk>/", plans.plan, name="plan"),
    path("plans/<int:pk>/submit/", plans.submit_plan, name="submit_plan"),
    path("plans/<int:pk>/withdraw/", plans.withdraw_plan, name="withdraw_plan"),
    path("plans/<int:pk>/approve/", plans.approve_plan, name="approve_plan"),
    path("plans/<int:pk>/reject/", plans.reject_plan, name="reject_plan"),
    path("plans/<int:pk>/plan.json", plans.plan_json, name="plan_json"),
    path("approvals/", plans.approvals, name="approvals"),
    path("waivers/", waivers.waiver_list, name="waivers"),
    path("waivers/new/", waivers.new_waiver, name="new_waiver"),
    path("waivers/<int:pk>/", waivers.waiver, name="waiver"),
    path("waivers/<int:pk>/approve/", waivers.approve_waiver, name="approve_waiver"),
    path("waivers/<int:pk>/reject/", waivers.reject_waiver, name="reject_waiver"),
    path("waivers/<int:pk>/withdraw/", waivers.withdraw_waiver, name="withdraw_waiver"),
    path("waivers/<int:pk>/renew/", waivers.renew_waiver, name="renew_waiver"),
    path("waivers/<int:pk>/end/", waivers.end_waiver, name="end_waiver"),
    path("runs/", runs.runs, name="runs"),
    path("runs/<int:pk>/", runs.run, name="run"),
    path("runs/<int:pk>/progress/", runs.run_progress, name="run_progress"),
    path("runs/<int:pk>/stop/", runs.stop_run, name="stop_run"),
    path("runs/<int:pk>/resume/", runs.resume_run, name="resume_run"),
    path("collection/", quality.data_quality, name="data_quality"),
    re_path(r"^collection/(?P<account_id>[0-9]{12})/probed/$", quality.role_probed, name="role_probed"),
    path("collection/messages/", quality.send_again, name="send_again"),
    path("audit/", quality.audit, name="audit"),
    path("theme/", site.theme, name="theme"),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("livez", site.livez, name="livez"),
    path("readyz", site.readyz, name="readyz"),
]
