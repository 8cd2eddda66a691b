//! What was measured, as a table for a terminal.

use comfy_table::{Cell, Table};

use super::Fidelity;
use super::gate::metrics;
use crate::gates::{figure, number, table};

/// One row for each metric: the noise floor, then mean, worst and the worst sentence of each model.
pub fn fidelity_table<'a>(models: impl IntoIterator<Item = (&'a str, &'a Fidelity)>) -> Table {
    let models: Vec<_> = models.into_iter().collect();
    let mut header = vec!["metric".to_owned(), "unit".to_owned(), "noise floor".to_owned()];
    header
        .extend(models.iter().flat_map(|(name, _)| [(*name).to_owned(), "worst".to_owned(), String::new()]));
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = table(&header);
    for metric in metrics() {
        let mut row = vec![Cell::new(metric.name), Cell::new(metric.unit)];
        let beside: Vec<_> = models.iter().map(|(_, fidelity)| fidelity.metrics.get(metric.name)).collect();
        let floor = beside.iter().flatten().find_map(|it| it.floor.as_ref());
        row.push(figure(floor.map_or(String::new(), |floor| number(floor.mean))));
        for beside in beside {
            match beside {
                Some(it) => row.extend([
                    figure(number(it.found.mean)),
                    figure(number(it.found.worst)),
                    Cell::new(&it.found.worst_id),
                ]),
                None => row.extend(["", "", ""].map(Cell::new)),
            }
        }
        table.add_row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fidelity::Beside;
    use crate::fidelity::metric::Aggregate;

    #[test]
    fn each_metric_stands_beside_its_floor() {
        let aggregate = |mean, worst| Aggregate { mean, worst, worst_id: "held-07".to_owned(), count: 3 };
        let beside = Beside { found: aggregate(29.5, 21.25), floor: Some(aggregate(115.0, 110.0)) };
        let one = Fidelity { metrics: [("snr_db".to_owned(), beside)].into(), ..Fidelity::default() };
        let text = fidelity_table([("weights-int8", &one), ("other", &Fidelity::default())]).to_string();
        let line = text.lines().find(|line| line.contains("snr_db")).unwrap();
        let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "┆").collect();
        assert_eq!(words, ["snr_db", "dB", "115", "29.5", "21.25", "held-07"], "{text}");
        assert_eq!(text.lines().count(), 2 + metrics().count(), "{text}");
    }
}
