//! Measures processes and series.

use std::process::Command;

/// The resident memory of a process in bytes, where `ps` reports it.
pub(super) fn resident(process: u32) -> Option<u64> {
    let output = Command::new("ps").args(["-o", "rss=", "-p", &process.to_string()]).output().ok()?;
    let kibibytes: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The slope of a series of (x, y), by linear least squares.
pub(super) fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let along: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if spread > 0.0 { along / spread } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_fits_the_least_squares() {
        let line: Vec<_> = (0..10).map(|x| (f64::from(x), 3.0 * f64::from(x) + 7.0)).collect();
        assert!((slope(&line) - 3.0).abs() < 1e-9);
        let noisy: Vec<_> = (0..10).map(|x| (f64::from(x), if x % 2 == 0 { 5.0 } else { 6.0 })).collect();
        assert!(slope(&noisy).abs() < 0.1);
        assert!(slope(&[(1.0, 2.0)]).abs() < 1e-9);
    }

    #[test]
    fn the_memory_of_a_process_is_measured() {
        assert!(resident(std::process::id()).is_some_and(|bytes| bytes > 1 << 20));
    }
}
