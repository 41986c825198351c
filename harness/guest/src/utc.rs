//! The calendar, for the names of a dump's directory and for people.

/// A second of the proleptic Gregorian calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Utc {
    /// Since 1970.
    seconds: u64,
}

impl Utc {
    /// So many seconds after the beginning of 1970.
    pub fn since_1970(seconds: u64) -> Self {
        Self { seconds }
    }

    /// `date +%Y-%m-%d`.
    pub fn date(self) -> String {
        // Days since 0000-03-01, in eras of 400 years: years that begin in March have their leap
        // day at the end.
        let days = self.seconds / 86_400 + 719_468;
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
        format!("{year:04}-{month:02}-{day_of_month:02}")
    }

    /// `date +%T`.
    pub fn time(self) -> String {
        let second = self.seconds % 86_400;
        format!(
            "{:02}:{:02}:{:02}",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let at = |seconds| {
            let utc = Utc::since_1970(seconds);
            format!("{} {}", utc.date(), utc.time())
        };
        assert_eq!(at(0), "1970-01-01 00:00:00");
        assert_eq!(at(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(at(951_868_800), "2000-03-01 00:00:00");
        assert_eq!(at(1_704_067_199), "2023-12-31 23:59:59");
        assert_eq!(at(4_107_542_400), "2100-03-01 00:00:00");
        // A dump may say any time.
        assert!(at(u64::MAX).ends_with(":15"));
    }
}
