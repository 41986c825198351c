//! Load orders for programs.

use std::path::Path;

use serde::Serialize;

use super::Orders;
use crate::verdict::outcome::Outcome;

/// The whole document; `format` counts up when a field changes its meaning.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    format: u32,
    drills: Vec<Drill<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Drill<'a> {
    scenario: &'a str,
    variant: Option<&'a str>,
    /// If it is another one than the scenario says.
    image: Option<&'a str>,
    /// Orders were made by seeds 1 to this.
    seeds: u16,
    /// How many orders there are; null if they are more than 64 bits can count.
    possible_orders: Option<u64>,
    /// Seeds that made an order again, and were not run.
    repeated_seeds: &'a [u64],
    /// All of them ended in the same verdict by the same cause; false if the harness failed in one.
    same: bool,
    orders: Vec<Order<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Order<'a> {
    seed: u64,
    drivers: &'a [String],
    /// Null if the harness failed.
    outcome: Option<&'a Outcome>,
    /// Why it did.
    error: Option<&'a str>,
    kept: Option<&'a Path>,
}

/// All drills as one JSON document, with a newline at its end.
///
/// # Errors
/// None that an order can cause.
pub fn orders_json(all: &[Orders]) -> Result<String, serde_json::Error> {
    let drills = all.iter().map(|orders| Drill {
        scenario: &orders.id.scenario,
        variant: orders.id.variant.as_deref(),
        image: orders.id.image.as_deref(),
        seeds: orders.seeds,
        possible_orders: orders.possible(),
        repeated_seeds: &orders.repeated,
        same: !orders.failed() && orders.endings().len() == 1,
        orders: orders
            .runs
            .iter()
            .map(|run| Order {
                seed: run.seed,
                drivers: &run.drivers,
                outcome: run.result.as_ref().ok(),
                error: run.result.as_ref().err().map(String::as_str),
                kept: run.kept.as_deref(),
            })
            .collect(),
    });
    let mut text = serde_json::to_string_pretty(&Document {
        format: 1,
        drills: drills.collect(),
    })?;
    text.push('\n');
    Ok(text)
}
