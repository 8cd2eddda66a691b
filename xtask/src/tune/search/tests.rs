//! The search on made-up costs and errors, of which the best plan can be found by trying all.

use super::*;

const LIMITS: Limits = Limits { mean: 1.0, worst: 1.5 };

/// Numbers between 0 and 1, the same for the same seed.
fn numbers(seed: u32) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 24)
    }
}

/// Units that save up to 90 of 100 ms, and that together are beyond the limits.
fn problem(seed: u32, units: usize, goal: Goal) -> Problem {
    let mut number = numbers(seed);
    let unit = |_| Unit {
        saving_ms: 90.0 / units as f64 * number(),
        error: (0..3).map(|_| 4.0 / units as f64 * number() * number()).collect(),
    };
    Problem { units: (0..units).map(unit).collect(), base_ms: 110.0, float_ms: 100.0, limits: LIMITS, goal }
}

/// What is measured where squared errors add up, on a floor of 0.4 dB.
fn additive(problem: &Problem) -> impl Fn(&Set) -> Answer + use<> {
    let units = problem.units.clone();
    move |set| {
        let square = |at: usize| 0.16 + set.iter().map(|&unit| units[unit].error[at]).sum::<f64>();
        Answer { lsd: (0..3).map(|at| square(at).sqrt()).collect(), predicts: true }
    }
}

fn every(units: usize) -> impl Iterator<Item = Set> {
    (0..1_usize << units).map(move |bits| (0..units).filter(|unit| bits >> unit & 1 == 1).collect())
}

#[test]
fn the_best_of_all_plans_is_found() {
    for seed in 1..=40 {
        for goal in [Goal::Fastest, Goal::Closest { speed: 1.5 }] {
            let problem = problem(seed, 9, goal);
            let measured = additive(&problem);
            let rank = |set: &Set| problem.rank(set, &measured(set));
            let best = every(9).map(|set| rank(&set)).min_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            let mut count = 0;
            let found = problem.clone().search(|set| {
                count += 1;
                Ok(Some(measured(set)))
            });
            let found = found.unwrap();
            let (missed, value) = best.unwrap();
            assert_eq!(found.meets, !missed, "seed {seed}, {goal:?}");
            let off = rank(&found.set).1 - value;
            assert!(off.abs() < 1e-9, "seed {seed}, {goal:?}: {found:?}, {off} from the best");
            assert!(count < 100, "seed {seed}, {goal:?}: {count} plans were measured of 512");
        }
    }
}

#[test]
fn what_is_found_was_measured_within_the_limits_although_predictions_are_wrong() {
    for seed in 1..=20 {
        let problem = problem(seed, 24, Goal::Fastest);
        let (measured, mut tried) = (additive(&problem), Vec::new());
        let mut wrong = problem.clone();
        for (at, unit) in wrong.units.iter_mut().enumerate() {
            unit.error.iter_mut().for_each(|error| *error *= [0.4, 1.0, 2.5][at % 3]);
        }
        let found = wrong.search(|set| {
            tried.push(set.clone());
            Ok((tried.len() < 80).then(|| measured(set)))
        });
        let found = found.unwrap();
        assert!(found.meets && tried.contains(&found.set), "seed {seed}: {found:?}");
        assert!(LIMITS.kept(&measured(&found.set).lsd), "seed {seed}");
        // As good as the plan that greed alone finds with the right errors.
        let path = problem.path((0..24).collect(), &measured(&(0..24).collect()).lsd);
        let greedy = path.iter().find(|set| LIMITS.kept(&measured(set).lsd)).unwrap();
        let [found, greedy] = [&found.set, greedy].map(|set| problem.speed(set));
        assert!(found > 0.97 * greedy, "seed {seed}: {found} × and {greedy} ×");
    }
}

#[test]
fn a_search_that_was_ended_goes_on_to_the_same_plan() {
    let problem = problem(7, 16, Goal::Fastest);
    let measured = additive(&problem);
    let whole = problem.clone().search(|set| Ok(Some(measured(set)))).unwrap();
    let mut kept: Vec<Set> = Vec::new();
    // Three plans at a time: what was measured before is free.
    for round in 0.. {
        let mut left = 3;
        let found = problem.clone().search(|set| {
            if !kept.contains(set) {
                if left == 0 && kept.len() >= 2 {
                    return Ok(None);
                }
                left -= 1;
                kept.push(set.clone());
            }
            Ok(Some(measured(set)))
        });
        if left > 0 {
            assert_eq!(found.unwrap(), whole);
            assert!(round > 3, "the search was not ended");
            return;
        }
    }
}

#[test]
fn without_time_the_better_end_is_found() {
    let problem = problem(3, 8, Goal::Fastest);
    let measured = additive(&problem);
    let mut left = 2;
    let found = problem.search(|set| {
        left -= 1;
        Ok((left >= 0).then(|| measured(set)))
    });
    assert_eq!(found.unwrap(), Found { set: Set::new(), meets: true });
}

#[test]
fn a_goal_that_nothing_meets_is_said_and_the_nearest_taken() {
    let mut strict = problem(5, 6, Goal::Fastest);
    strict.limits = Limits { mean: 0.3, worst: 0.35 };
    let measured = additive(&strict);
    let found = strict.search(|set| Ok(Some(measured(set)))).unwrap();
    assert_eq!(found, Found { set: Set::new(), meets: false });

    let fast = problem(5, 6, Goal::Closest { speed: 50.0 });
    let measured = additive(&fast);
    let found = fast.search(|set| Ok(Some(measured(set)))).unwrap();
    assert_eq!(found, Found { set: (0..6).collect(), meets: false });
}

#[test]
fn a_plan_that_changes_what_is_predicted_is_refused() {
    let problem = problem(4, 8, Goal::Fastest);
    let measured = additive(&problem);
    let answer = |set: &Set| Answer { predicts: !set.contains(&2), ..measured(set) };
    let found = problem.search(|set| Ok(Some(answer(set)))).unwrap();
    assert!(found.meets && !found.set.contains(&2), "{found:?}");
}

#[test]
fn the_path_drops_what_saves_least_for_its_error() {
    let unit = |saving_ms, error: f64| Unit { saving_ms, error: vec![error] };
    let units = vec![unit(4.0, 1.0), unit(4.0, 2.0), unit(-1.0, 0.1), unit(1.0, 0.1)];
    let problem = Problem { units, base_ms: 10.0, float_ms: 10.0, limits: LIMITS, goal: Goal::Fastest };
    let path: Vec<Vec<usize>> =
        problem.path((0..4).collect(), &[2.0]).into_iter().map(|set| set.into_iter().collect()).collect();
    assert_eq!(path, [vec![0, 1, 2, 3], vec![0, 1, 3], vec![0, 3], vec![3], vec![]]);
}

#[test]
fn an_exchange_moves_up_to_two() {
    assert_eq!(few(&[3, 5, 8]), [vec![], vec![3], vec![5], vec![8], vec![3, 5], vec![3, 8], vec![5, 8]]);
    assert_eq!(few(&[]), [vec![0_usize; 0]]);
}
