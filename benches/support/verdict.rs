//! Lists the rows that ours loses at the end of a bench, so that the reader need not search for
//! them.

#![forbid(unsafe_code)]

use super::interleave::{Measured, Row};
use super::rival::Role;

/// Below this ratio a difference cannot be told from noise on a shared machine.
const A_TIE: f64 = 1.05;

/// Our position in one row, by its first metric.
pub(crate) struct Standing {
    /// The rival with the least median.
    pub(crate) fastest: &'static str,
    /// Ours divided by the fastest rival's.
    pub(crate) to_fastest: f64,
    /// Ours divided by the baseline's.
    pub(crate) to_plain: f64,
    /// Our median minus the baseline's.
    pub(crate) over_plain: f64,
}

impl Standing {
    /// `None` if ours, the baseline or every rival was left out.
    pub(crate) fn of(measured: &Measured) -> Option<Self> {
        let one = |role| measured.medians().find(|(_, its, _)| *its == role);
        let (ours, _, our_median) = one(Role::Ours)?;
        let (plain, _, plain_median) = one(Role::Baseline)?;
        let rivals = measured.medians().filter(|(_, role, _)| role.is_rival());
        let (fastest, ..) = rivals.min_by(|a, b| a.2.total_cmp(&b.2))?;
        Some(Self {
            fastest,
            to_fastest: measured.between(ours, fastest)?,
            to_plain: measured.between(ours, plain)?,
            over_plain: our_median - plain_median,
        })
    }
}

/// The rows that ours loses, as text.
#[derive(Default)]
pub(crate) struct Verdict {
    rows: usize,
    behind_a_rival: Vec<String>,
    /// How much more than the baseline a row may take, in its own unit, if that is checked.
    allowed: Option<f64>,
    behind_plain: Vec<String>,
}

impl Verdict {
    /// Also compares with the baseline.
    pub(crate) fn allowing(over_plain: f64) -> Self {
        Self { allowed: Some(over_plain), ..Self::default() }
    }

    /// Records one row.
    pub(crate) fn note(&mut self, measured: &Measured) {
        let Some(standing) = Standing::of(measured) else { return };
        let Standing { fastest, to_fastest, to_plain, over_plain } = standing;
        let Row { name, metrics, .. } = measured.row();
        self.rows += 1;
        if to_fastest > A_TIE {
            self.behind_a_rival.push(format!("{name}: {to_fastest:.2} of {fastest}"));
        }
        if self.allowed.is_some_and(|allowed| over_plain > allowed) {
            let words = format!("{name}: {over_plain:.1} {} more, {to_plain:.2} of it", metrics[0]);
            self.behind_plain.push(words);
        }
    }

    /// Prints the lists.
    pub(crate) fn print(&self) {
        let list = |what: &str, which: &[String]| {
            println!("\nslower than {what}: {} of {} rows", which.len(), self.rows);
            which.iter().for_each(|row| println!("  {row}"));
        };
        let tie = (A_TIE - 1.0) * 100.0;
        list(&format!("the fastest rival by more than {tie:.0} %"), &self.behind_a_rival);
        if let Some(allowed) = self.allowed {
            list(&format!("plain by more than {allowed}"), &self.behind_plain);
        }
    }
}
