//! The time in a dump's directory.

use std::time::{SystemTime, UNIX_EPOCH};

/// `date +%Y-%m-%d-%T` in UTC.
pub(crate) fn date(now: SystemTime) -> String {
    let seconds = now
        .duration_since(UNIX_EPOCH)
        .map(|since| since.as_secs())
        .unwrap_or(0);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, in eras of 400 years: years that begin in March have their leap day
    // at the end.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = year + era * 400 + carry;
    format!(
        "{year:04}-{month:02}-{day_of_month:02}-{:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates() {
        let at = |seconds| date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01-00:00:00");
        assert_eq!(at(951_782_399), "2000-02-28-23:59:59");
        assert_eq!(at(951_782_400), "2000-02-29-00:00:00");
        assert_eq!(at(951_868_800), "2000-03-01-00:00:00");
        assert_eq!(at(1_704_067_199), "2023-12-31-23:59:59");
        assert_eq!(at(4_107_542_400), "2100-03-01-00:00:00");
    }
}
