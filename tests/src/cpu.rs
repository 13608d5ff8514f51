//! CPU time of processes, and what is made of several such figures.

use std::fs;

/// CPU time of a process, its threads and its children so far, in nanoseconds.
pub fn cpu_nanos(pid: u32) -> u64 {
    let own =
        fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().map(|task| on_cpu(&task.path()));
    own.sum::<u64>() + children(pid).into_iter().map(cpu_nanos).sum::<u64>()
}

/// The first number of schedstat: nanoseconds on a CPU, in user and kernel mode.
fn on_cpu(task: &std::path::Path) -> u64 {
    let stat = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// The value in the middle.
///
/// # Panics
/// When there is none.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
