//! One picture of speed, fidelity and size.

use maud::{Markup, html};

use super::models::{Model, Models, Role};
use super::scale::{Scale, range};
use super::speed::at;
use super::text::{figure, fixed, section as make};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 430.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 370.0;
/// Where the plot ends and the column of labels begins.
const RIGHT: f64 = 760.0;
/// The radius of the largest model.
const LARGEST: f64 = 46.0;
/// Between two labels.
const LABEL: f64 = 40.0;

/// A model in the plane.
struct Point<'a> {
    model: &'a Model<'a>,
    speed: f64,
    distance: f64,
}

pub(super) fn section(models: &Models<'_>) -> Markup {
    let lead = html! { "What each model trades for what: further right is faster, higher is closer to the base, smaller is smaller." };
    let points: Vec<Point<'_>> = models.iter().filter_map(point).collect();
    let content = if points.len() > 1 {
        figure(
            "Speed, fidelity and size of the models",
            &drawing(&points),
            &html! {
                "Across: times as fast as the base. Up: mean log-spectral distance on held-out sentences with the base's \
                 prosody forced, nearer to 0 is closer. Area: size of the file."
            },
        )
    } else {
        html! { p.note { "Not measured in this run: it takes both the fidelity and the bench gate." } }
    };
    make("trade", "Speed, fidelity and size", &lead, &content)
}

fn point<'a>(model: &'a Model<'a>) -> Option<Point<'a>> {
    if model.role == Role::Base {
        return Some(Point { model, speed: 1.0, distance: 0.0 });
    }
    Some(Point { model, speed: model.speed_ratio?.median, distance: model.mean("lsd_db")? })
}

fn drawing(points: &[Point<'_>]) -> Markup {
    let speeds = range(points.iter().map(|it| it.speed), 0.25).unwrap_or([0.5, 1.5]);
    let [_, worst] = range(points.iter().map(|it| it.distance), 0.15).unwrap_or([0.0, 1.0]);
    let across = Scale::new(speeds, [LEFT, RIGHT]);
    // Room above 0 for half of the base's own circle.
    let up = Scale::new([-0.12 * worst.max(0.1), worst.max(0.1)], [TOP, BOTTOM]);
    let mut order: Vec<&Point<'_>> = points.iter().collect();
    order.sort_by_key(|point| std::cmp::Reverse(point.model.bytes));
    let most = order.first().map_or(1.0, |point| point.model.mib());
    let radius = |point: &Point<'_>| LARGEST * (point.model.mib() / most).sqrt();
    let labels = labels(points.iter().map(|point| up.place(point.distance)).collect());
    html! {
        svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } width=(WIDTH) height=(HEIGHT) role="img"
            aria-label="Speed ratio against log-spectral distance; the area is the size" {
            @for tick in across.ticks(6) {
                @let x = at(across.place(tick));
                line.grid x1=(x) x2=(x) y1=(TOP) y2=(BOTTOM) {}
                text.tick x=(x) y=(BOTTOM + 20.0) { (fixed(tick, across.decimals(6))) " ×" }
            }
            @for tick in up.ticks(6).into_iter().filter(|tick| *tick > -1e-9) {
                @let y = at(up.place(tick));
                line.grid x1=(LEFT) x2=(RIGHT) y1=(y) y2=(y) {}
                text.label x=(LEFT - 10.0) y=(at(up.place(tick) + 4.0)) { (fixed(tick.abs(), up.decimals(6))) }
            }
            text.axis x=(LEFT) y=(BOTTOM + 46.0) { "speed ratio →" }
            text.axis transform={ "translate(16 " (BOTTOM) ") rotate(-90)" } { "closer to the base: LSD in dB →" }
            @for point in order {
                circle.bubble.(point.model.role.class()) cx=(at(across.place(point.speed)))
                    cy=(at(up.place(point.distance))) r=(at(radius(point))) {
                    title { (point.model.name) }
                }
            }
            @for (point, label) in points.iter().zip(&labels) {
                @let (x, y) = (across.place(point.speed), up.place(point.distance));
                polyline.leader points={
                    (at(x + radius(point))) "," (at(y)) " " (at(RIGHT + 8.0)) "," (at(*label)) " "
                    (at(RIGHT + 20.0)) "," (at(*label))
                } {}
                text.name x=(RIGHT + 26.0) y=(at(label - 1.0)) { (point.model.name) }
                text.detail x=(RIGHT + 26.0) y=(at(label + 14.0)) {
                    (fixed(point.model.mib(), 1)) " MiB · " (fixed(point.speed, 2)) " × · "
                    (fixed(point.distance, 2)) " dB"
                }
            }
        }
    }
}

/// Where labels go that want to be at `wanted`: in the same order, none over another, as little lower as can be.
fn labels(wanted: Vec<f64>) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let mut places = wanted;
    let mut free = f64::MIN;
    for at in order {
        places[at] = places[at].max(free);
        free = places[at] + LABEL;
    }
    // What was pushed out at the bottom pushes all of them up.
    let lowest = places.iter().copied().fold(f64::MIN, f64::max);
    let over = (lowest - BOTTOM).max(0.0);
    places.iter().map(|place| place - over).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_their_order_and_their_distance() {
        let placed = labels(vec![100.0, 20.0, 25.0, 30.0]);
        assert_eq!(placed, [140.0, 20.0, 60.0, 100.0]);
        let low = labels(vec![BOTTOM, BOTTOM - 1.0]);
        assert_eq!(low, [BOTTOM, BOTTOM - LABEL].map(|place| place + 0.0));
    }
}
