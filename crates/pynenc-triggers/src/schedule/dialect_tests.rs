//! Tests of cron texts that other systems read differently: slots, refusals, descriptions and warnings.

use super::{CronDialect, DayMatch, Schedule};
use pynenc_core::Timestamp;

const PLAIN: CronDialect = CronDialect { days: None, quartz: false };
const EITHER_DAY: CronDialect = CronDialect { days: Some(DayMatch::Either), quartz: false };
const BOTH_DAYS: CronDialect = CronDialect { days: Some(DayMatch::Both), quartz: false };
const QUARTZ: CronDialect = CronDialect { days: None, quartz: true };
const QUARTZ_BOTH_DAYS: CronDialect = CronDialect { days: Some(DayMatch::Both), quartz: true };

fn read(text: &str, dialect: CronDialect) -> Schedule {
    Schedule::parse(text, "UTC", dialect).unwrap_or_else(|error| panic!("{text}{dialect}: {error}"))
}

/// Checks the first slots from February 2026 on. The month begins with a Sunday.
fn check_days(text: &str, dialect: CronDialect, expected: &[&str]) {
    let february: jiff::Timestamp = "2026-01-31T23:59:59Z".parse().unwrap();
    let february = Timestamp::from_millis(u64::try_from(february.as_millisecond()).unwrap());
    let schedule = read(text, dialect);
    let slots = schedule.after(february).take(expected.len());
    let days: Vec<_> = slots.map(|slot| schedule.local(slot).unwrap().strftime("%a %d %b").to_string()).collect();
    assert_eq!(days, expected, "{text}{dialect}");
}

#[test]
fn either_day_fits_unless_both_are_asked_for() {
    let either = ["Fri 06 Feb", "Fri 13 Feb", "Fri 20 Feb"];
    let both = ["Fri 13 Feb", "Fri 13 Mar", "Fri 13 Nov"];
    check_days("0 0 13 * 5", PLAIN, &either);
    check_days("0 0 13 * 5", EITHER_DAY, &either);
    check_days("0 0 13 * 5", BOTH_DAYS, &both);
    check_days("0 0 13 * +5", PLAIN, &both);
    check_days("0 0 0 13 * FRI", QUARTZ_BOTH_DAYS, &both);
    check_days("0 0 */2 * 1", PLAIN, &["Sun 01 Feb", "Mon 02 Feb", "Tue 03 Feb", "Thu 05 Feb"]);
    check_days("0 0 */2 * 1", BOTH_DAYS, &["Mon 09 Feb", "Mon 23 Feb", "Mon 09 Mar"]);
    check_days("0 0 */1 * FRI", PLAIN, &["Sun 01 Feb", "Mon 02 Feb"]);
    check_days("0 0 */1 * FRI", BOTH_DAYS, &["Fri 06 Feb", "Fri 13 Feb"]);
    check_days("0 0 L * FRI", BOTH_DAYS, &["Fri 31 Jul", "Fri 30 Apr"]);
}

#[test]
fn the_last_day_and_the_last_workday_combine() {
    check_days("0 0 L,LW * *", PLAIN, &["Fri 27 Feb", "Sat 28 Feb", "Tue 31 Mar", "Thu 30 Apr"]);
}

#[test]
fn quartz_counts_weekdays_from_sunday_as_one() {
    check_days("0 0 12 ? * 2", PLAIN, &["Tue 03 Feb", "Tue 10 Feb"]);
    check_days("0 0 12 ? * 2", QUARTZ, &["Mon 02 Feb", "Mon 09 Feb"]);
    check_days("0 0 12 ? * MON", QUARTZ, &["Mon 02 Feb", "Mon 09 Feb"]);
    check_days("0 0 12 ? * 7", QUARTZ, &["Sat 07 Feb", "Sat 14 Feb"]);
    check_days(
        "0 0 12 ? * 2-6",
        QUARTZ,
        &["Mon 02 Feb", "Tue 03 Feb", "Wed 04 Feb", "Thu 05 Feb", "Fri 06 Feb", "Mon 09 Feb"],
    );
    check_days("0 0 12 ? * */2", QUARTZ, &["Sun 01 Feb", "Tue 03 Feb", "Thu 05 Feb", "Sat 07 Feb", "Sun 08 Feb"]);
    check_days("0 0 12 ? * 3/2", QUARTZ, &["Tue 03 Feb", "Thu 05 Feb", "Sat 07 Feb", "Tue 10 Feb"]);
    check_days("0 0 12 ? * 6L", QUARTZ, &["Fri 27 Feb", "Fri 27 Mar"]);
    check_days("0 0 12 ? * 6#2", QUARTZ, &["Fri 13 Feb", "Fri 13 Mar"]);
    check_days("0 0 12 15W * ?", QUARTZ, &["Mon 16 Feb", "Mon 16 Mar"]);
    check_days("0 0 12 LW * ?", QUARTZ, &["Fri 27 Feb", "Tue 31 Mar"]);
}

/// Checks that a text is refused with an error that contains these parts.
fn check_refused(text: &str, dialect: CronDialect, parts: &[&str]) {
    let error = match Schedule::parse(text, "UTC", dialect) {
        Ok(schedule) => panic!("{text}{dialect} is read: {}", schedule.description()),
        Err(error) => error.to_string(),
    };
    assert!(parts.iter().all(|part| error.contains(part)), "{text}{dialect}: {error}\nlacks one of {parts:?}");
}

#[test]
fn a_step_wider_than_its_field_is_refused() {
    for (text, instead) in [
        ("*/90 * * * *", "write `0 * * * *`"),
        ("*/61 * * * *", "write `0 * * * *`"),
        ("*/90 * * * * *", "write `0 * * * * *`"),
        ("0 */36 * * *", "write `0 0 * * *`"),
        ("0 0 */40 * *", "write `0 0 1 * *`"),
        ("0 0 1 */13 *", "write `0 0 1 1 *`"),
        ("0 0 * * */8", "write `0 0 * * 0`"),
        ("7-8,*/90 * * * *", "write `7-8,0 * * * *`"),
        ("5-30/300 * * * *", "write `5 * * * *`"),
        ("*/99999999999999 * * * *", "write `0 * * * *`"),
    ] {
        check_refused(text, PLAIN, &["is wider than", instead, "30 1-23/3 * * *"]);
    }
    check_refused("0 5/90 * * * ?", QUARTZ, &["is wider than", "write `0 5 * * * ?`"]);
    for text in ["*/60 * * * *", "0 */24 * * *", "0 0 */31 * *", "0 0 1 */12 *", "0 0 * * */7"] {
        read(text, PLAIN);
    }
}

#[test]
fn a_range_past_the_end_of_its_field_is_refused_with_its_list() {
    for (text, instead) in [
        ("0 22-2 * * *", "write `0 22-23,0-2 * * *`"),
        ("50-10 * * * *", "write `50-59,0-10 * * * *`"),
        ("0 23-0 * * *", "write `0 23,0 * * *`"),
        ("0 0 28-3 * *", "write `0 0 28-31,1-3 * *`"),
        ("0 0 1 nov-feb *", "write `0 0 1 NOV-DEC,JAN-FEB *`"),
        ("0 0 * * fri-mon", "write `0 0 * * FRI-SAT,SUN-MON`"),
        ("0 0 13 * +fri-mon", "write `0 0 13 * +FRI-SAT,SUN-MON`"),
        ("0 0 * * 5-1", "write `0 0 * * 5-6,0-1`"),
        ("0 0 * * 7-2", "write `0 0 * * 0-2`"),
        ("0 9,22-2 * * *", "write `0 9,22-23,0-2 * * *`"),
        ("0 22-2/2 * * *", "write `0 22,0,2 * * *`"),
        ("0 21-3/4 * * *", "write `0 21,1 * * *`"),
    ] {
        check_refused(text, PLAIN, &["passes the end", instead]);
        let list = instead.trim_start_matches("write `").trim_end_matches('`');
        read(list, PLAIN);
    }
    check_refused("0 0 0 ? * FRI-SUN", QUARTZ, &["write `0 0 0 ? * FRI-SAT,SUN`"]);
    check_days("0 0 * * FRI-SUN", PLAIN, &["Sun 01 Feb", "Fri 06 Feb", "Sat 07 Feb", "Sun 08 Feb"]);
    check_days("0 0 * * SUN-TUE", PLAIN, &["Sun 01 Feb", "Mon 02 Feb", "Tue 03 Feb", "Sun 08 Feb"]);
}

#[test]
fn a_step_without_a_range_is_read_for_quartz_alone() {
    check_refused("5/15 * * * *", PLAIN, &["write `5-59/15 * * * *`"]);
    check_refused("0 2/3 * * *", PLAIN, &["write `0 2-23/3 * * *`"]);
    check_refused("0 0 * * MON/2", PLAIN, &["write `0 0 * * MON-6/2`"]);
    check_refused("/15 * * * *", PLAIN, &["write `*/15 * * * *`"]);
    for text in ["0 5/15 * * * ?", "0 5-59/15 * * * ?"] {
        assert_eq!(read(text, QUARTZ).description(), "at minutes 5, 20, 35 and 50 of every hour", "{text}");
    }
    assert_eq!(read("0 /15 * * * ?", QUARTZ).description(), "at minutes 0, 15, 30 and 45 of every hour");
    assert_eq!(read("0 0 * * MON-6/2", PLAIN).description(), "at 00:00 on Monday, Wednesday and Friday");
}

#[test]
fn forms_of_other_systems_are_refused_with_the_text_to_write() {
    for (text, part) in [
        ("@every 5m", "write `*/5 * * * *`"),
        ("@every 1m", "write `* * * * *`"),
        ("@every 30s", "write `*/30 * * * * *`"),
        ("@every 60m", "write `0 * * * *`"),
        ("@EVERY 2h", "write `0 */2 * * *`"),
        ("@every 24h", "write `0 0 * * *`"),
        ("@every 7m", "divides a minute, an hour or a day"),
        ("@every 1h30m", "`0 */3 * * *` together with `30 1-23/3 * * *`"),
        ("@every", "divides a minute, an hour or a day"),
        ("@every -5m", "divides a minute, an hour or a day"),
        ("@reboot", "where your program starts"),
        ("@fortnightly", "@weekly, @daily"),
        ("H * * * *", "`17` for `H`"),
        ("H/15 * * * *", "`2-59/15` for `H/15`"),
        ("0 H(0-7) * * *", "`17` for `H`"),
        ("CRON_TZ=Europe/Madrid 0 3 * * *", "call `.timezone(\"Europe/Madrid\")`"),
        ("TZ=UTC 0 3 * * *", "call `.timezone(\"UTC\")`"),
        ("0 0 12 ? * MON 2027", "years"),
        ("0 12 * * ? *", "`?` stands for a day or a weekday alone"),
        ("0 0 L-3 * *", "write `L` for the last day"),
        ("0 0 * * L", "write `0 0 * * SAT`"),
        ("0 0 * * FRI#6", "#1 to #5"),
        ("0 0 * * +FRI", "keep one of the two"),
    ] {
        let dialect = if text.contains('+') { EITHER_DAY } else { PLAIN };
        check_refused(text, dialect, &[part]);
    }
    let both = "or call `.either_day()` or `.both_days()`";
    check_refused("0 0 12 13 * 6", QUARTZ, &["Quartz allows one of the fields", both]);
    check_refused("0 0 12 */2 * MON", QUARTZ, &["Quartz allows one of the fields", both]);
    check_refused("0 0 12 ? * 0", QUARTZ, &["weekday 0 isn't within 1-7"]);
}

#[test]
fn a_name_is_read_in_its_own_field_alone() {
    check_refused("MON * * * *", PLAIN, &["the field minute can't have `MON`"]);
    check_refused("0 JAN * * *", PLAIN, &["the field hour can't have `JAN`"]);
    check_refused("0 0 MON * *", PLAIN, &["the field day can't have `MON`"]);
    check_refused("0 0 1 MON *", PLAIN, &["the field month can't have `MON`"]);
    check_refused("0 0 * * JAN", PLAIN, &["the field weekday can't have `JAN`"]);
    check_refused("0 0 * * SUNMON", PLAIN, &["can't have `SUNMON`"]);
    check_refused("0 0 * * MONDAY", PLAIN, &["can't have `MONDAY`"]);
    check_refused("0 0 1,,2 * *", PLAIN, &["empty item"]);
    check_refused("0 0 32 * *", PLAIN, &["day 32 isn't within 1-31"]);
}

#[test]
fn texts_are_described_in_words() {
    for (text, words) in [
        ("* * * * *", "every minute"),
        ("* * * * * *", "every second"),
        ("*/30 * * * *", "every 30 minutes"),
        ("*/7 * * * *", "at every 7th minute from 0 to 56 of every hour"),
        ("0-30/10 * * * *", "at minutes 0, 10, 20 and 30 of every hour"),
        ("*/15,20 * * * *", "at minutes 0, 15, 20, 30 and 45 of every hour"),
        ("0 * * * *", "every hour"),
        ("@hourly", "every hour"),
        ("30 * * * *", "at minute 30 of every hour"),
        ("0 */2 * * *", "every 2 hours"),
        ("0 */5 * * *", "at minute 0 of every 5th hour from 0 to 20 every day"),
        ("15 */2 * * *", "at minute 15 of every 2nd hour from 0 to 22 every day"),
        ("*/15 9-17 * * MON-FRI", "every 15 minutes of hours 9 to 17 on Monday to Friday"),
        ("0 9-17 * * *", "at minute 0 of hours 9 to 17 every day"),
        ("* 3 * * *", "every minute of hour 3"),
        ("30 * * * * *", "at second 30 of every minute"),
        ("*/10 * 3 * * *", "every 10 seconds of hour 3"),
        ("30 2 * * *", "at 02:30 every day"),
        ("30 15 2 * * *", "at 02:15:30 every day"),
        ("15,45 2 * * *", "at 02:15 and 02:45 every day"),
        ("0 2,14 * * *", "at 02:00 and 14:00 every day"),
        ("@yearly", "at 00:00 on day 1 of the month in January"),
        ("@midnight", "at 00:00 every day"),
        ("0 0 * nov,dec,jan *", "at 00:00 in January, November and December"),
        ("0 0 1 */3 *", "at 00:00 on day 1 of the month in January, April, July and October"),
        ("0 0 1,15 * *", "at 00:00 on days 1 and 15 of the month"),
        ("0 0 L * *", "at 00:00 on the last day of the month"),
        ("0 0 LW * *", "at 00:00 on the last day of the month from Monday to Friday"),
        ("0 0 15W * *", "at 00:00 on the day from Monday to Friday nearest to day 15"),
        ("0 0 * * 5L", "at 00:00 on the last Friday of the month"),
        ("0 0 * * FRI#2", "at 00:00 on the second Friday of the month"),
        ("0 0 * * 5-7", "at 00:00 on Friday to Sunday"),
        ("0 0 13 * 5", "at 00:00 on day 13 of the month or on Friday"),
        ("0 0 */2 * MON", "at 00:00 on days 1 to 31 of the month in steps of 2 or on Monday"),
        ("0 0 */2 * +MON", "at 00:00 on Monday, if it is also one of the days 1 to 31 of the month in steps of 2"),
        ("0 0 13 * +5", "at 00:00 on Friday, if it is also day 13 of the month"),
        ("0 0 1-7 * +1,2", "at 00:00 on Monday or Tuesday, if it is also one of the days 1 to 7 of the month"),
    ] {
        assert_eq!(read(text, PLAIN).description(), words, "{text}");
    }
    assert_eq!(read("0 0 12 ? * 2", QUARTZ).description(), "at 12:00 on Monday");
}

/// Checks that a text has one warning, which contains these parts.
fn check_warned(text: &str, parts: &[&str]) {
    let warnings = read(text, PLAIN).warnings();
    let [warning] = warnings.as_slice() else { panic!("{text}: {warnings:?}") };
    assert!(parts.iter().all(|part| warning.contains(part)), "{warning}\nlacks one of {parts:?}");
}

#[test]
fn two_restricted_day_fields_are_warned_of_until_one_meaning_is_chosen() {
    let choose = "Call `.either_day()` or `.both_days()`";
    let alike = "Debian's cron, croniter and cronsim fire on the same days; Celery and APScheduler fire only on days";
    check_warned("0 0 13 * FRI", &["on day 13 of the month or on Friday", alike, choose]);
    check_warned("0 0 1-31 * FRI", &["on days 1 to 31 of the month or on Friday", alike, choose]);
    let alike = "croniter fires on the same days; Celery, APScheduler, cronsim and Debian's cron fire only on days";
    check_warned("0 0 */2 * MON", &[alike, choose]);
    check_warned("0 0 */1 * FRI", &[alike, choose]);
    check_warned("0 0 0 13 * FRI", &["cronsim fires on the same days; Quartz refuses the text", choose]);
    check_warned("0 0 0 */2 * MON", &["cronsim fires only on days that fit both; Quartz refuses the text", choose]);
    check_warned("0 0 L * FRI", &["Systems differ", choose]);
    for dialect in [EITHER_DAY, BOTH_DAYS] {
        assert_eq!(read("0 0 13 * FRI", dialect).warnings(), Vec::<String>::new());
    }
    for text in ["0 0 13 * +FRI", "0 0 13 * ?", "0 0 ? * FRI", "0 0 */1 * MON-SUN"] {
        assert_eq!(read(text, PLAIN).warnings(), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn weekday_numbers_that_other_systems_count_differently_cause_a_warning() {
    check_warned("0 0 * * 1", &["is Monday here", "Tuesday in APScheduler", "Write `0 0 * * MON`"]);
    check_warned("0 9 * * 1-5", &["Monday to Friday here", "Tuesday to Saturday in APScheduler", "`0 9 * * MON-FRI`"]);
    check_warned("0 9 * * 0", &["is Sunday here", "Monday in APScheduler", "`0 9 * * SUN`"]);
    check_warned("0 9 * * */2", &["Tuesday, Thursday, Saturday and Sunday here", "`0 9 * * SUN,TUE,THU,SAT`"]);
    check_warned("0 9 * * 1-5/2", &["`0 9 * * MON-FRI/2`"]);
    check_warned("0 0 12 ? * 2", &["Tuesday here", "Monday in Quartz", "`0 0 12 ? * TUE`, or call `.quartz()`"]);
    check_warned("0 0 12 ? * 7", &["Sunday here", "Saturday in Quartz", "`0 0 12 ? * SUN`"]);
    check_warned(
        "0 0 12 ? * 6#2",
        &["the second Saturday of the month here", "the second Friday", "`0 0 12 ? * SAT#2`"],
    );
    check_warned("0 0 13 * +5", &["is Friday here", "`0 0 13 * +FRI`"]);
    for text in
        ["0 0 * * MON-FRI", "0 0 * * SAT-SUN", "0 0 * * 0-6", "0 0 * * 7", "0 0 12 ? * 0", "0 0 12 ? * */2", "@weekly"]
    {
        assert_eq!(read(text, PLAIN).warnings(), Vec::<String>::new(), "{text}");
    }
    assert_eq!(read("0 0 12 ? * 2", QUARTZ).warnings(), Vec::<String>::new());
    assert_eq!(
        read("0 0 13 * 5", PLAIN).warnings().len(),
        2,
        "expected one warning for the days and one for the number"
    );
}

/// Checks the slots of a day in Madrid, in local time.
fn check_night(text: &str, day: &str, expected: &[&str]) {
    let schedule = Schedule::parse(text, "Europe/Madrid", PLAIN).unwrap();
    let midnight: jiff::Timestamp = format!("{day}T00:59:59+01:00").parse().unwrap();
    let midnight = Timestamp::from_millis(u64::try_from(midnight.as_millisecond()).unwrap());
    let shown: Vec<_> = schedule.after(midnight).take(expected.len()).map(|slot| schedule.local_time(slot)).collect();
    let expected: Vec<_> = expected.iter().map(|time| format!("{day}T{time}[Europe/Madrid]")).collect();
    assert_eq!(shown, expected, "{text}");
}

#[test]
fn slots_match_the_celery_guide_when_clocks_change() {
    let (forward, back) = ("2026-03-29", "2026-10-25");
    check_night("30 2,22 * * *", forward, &["22:30:00+02:00"]);
    check_night("*/30 * * * *", forward, &["01:00:00+01:00", "01:30:00+01:00", "03:00:00+02:00", "03:30:00+02:00"]);
    check_night("15,45 2,22 * * *", forward, &["22:15:00+02:00"]);
    check_night(
        "*/30 2,5 * * *",
        back,
        &["02:00:00+02:00", "02:30:00+02:00", "02:00:00+01:00", "02:30:00+01:00", "05:00:00+01:00"],
    );
    check_night(
        "15,45 2,5 * * *",
        back,
        &["02:15:00+02:00", "02:45:00+02:00", "02:15:00+01:00", "02:45:00+01:00", "05:15:00+01:00"],
    );
}

#[test]
fn a_slot_is_shown_with_its_zone() {
    let schedule = Schedule::parse("30 2 * * *", "Europe/Madrid", PLAIN).unwrap();
    for (noon, expected) in [
        ("2026-03-28T12:00:00Z", ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]),
        ("2026-10-24T12:00:00Z", ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
    ] {
        let noon: jiff::Timestamp = noon.parse().unwrap();
        let noon = Timestamp::from_millis(u64::try_from(noon.as_millisecond()).unwrap());
        let shown: Vec<_> = schedule.after(noon).take(2).map(|slot| schedule.local_time(slot)).collect();
        assert_eq!(shown, expected.map(|time| format!("{time}[Europe/Madrid]")));
    }
}
