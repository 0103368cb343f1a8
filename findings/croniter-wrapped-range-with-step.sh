#!/usr/bin/env bash
# croniter reads a wrapped range with a step differently from Celery and Quartz: `0 21-3/4 * * *` is 21:00 and 02:00.
#
# A range such as 21-3 passes midnight. Celery and Quartz keep counting past midnight: 21, 25, which is 01:00. Counting
# anew from midnight would give 21 and 0. croniter gives 21 and 2. Without a step all three agree: 21, 22, 23, 0 to 3.
# So the same text fires at different hours after a move from one library to another, and neither library warns.
#
# Seen 2026-11-30 with croniter 7.0.0 and celery 5.7.0:
#   21-3      croniter 0 1 2 3 21 22 23   celery 0 1 2 3 21 22 23
#   21-3/4    croniter 2 21               celery 1 21
#   22-2/2    croniter 0 2 22             celery 0 2 22
# (By hand: Quartz 2.3.2 gives 1 and 21. APScheduler 3.11.3 and cronsim 2.8 refuse the range. Debian's cron 3.0pl1-162
# accepts it and never runs the command.)
# Fails if any of this changes.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --target "$t" croniter==7.0.0 celery==5.7.0
PYTHONPATH="$t" python3 - <<'PY'
import datetime, sys
import croniter
from celery.schedules import crontab

def croniter_hours(field):
    times = croniter.croniter(f"0 {field} * * *", datetime.datetime(2026, 2, 1, tzinfo=datetime.timezone.utc))
    return sorted({times.get_next(datetime.datetime).hour for _ in range(48)})

expected = {
    "21-3": ([0, 1, 2, 3, 21, 22, 23], [0, 1, 2, 3, 21, 22, 23]),
    "21-3/4": ([2, 21], [1, 21]),
    "22-2/2": ([0, 2, 22], [0, 2, 22]),
}
changed = 0
for field, hours in expected.items():
    seen = (croniter_hours(field), sorted(crontab(minute="0", hour=field).hour))
    print(f"{field:8} croniter {seen[0]}  celery {seen[1]}")
    if seen != hours:
        changed += 1
        print("  CHANGED, was", hours)
sys.exit(changed)
PY
