//! Decides by the environment whether traces and metrics are exported.

use std::env;
use std::time::Duration;

/// A kind of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }

    const fn variable_part(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }
}

/// Reads a variable. An empty one counts as unset, as the specification says.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a signal is exported. A value that can't be used is logged, and the signal is off: a worker must not fail
/// because of its telemetry.
pub(crate) fn is_on(signal: Signal) -> bool {
    match decide(signal, variable) {
        Ok(is_on) => is_on,
        Err(problem) => {
            tracing::warn!("OpenTelemetry exports no {}: {problem}", signal.name());
            false
        }
    }
}

/// Whether any signal is exported.
pub(crate) fn is_any_on() -> bool {
    [Signal::Traces, Signal::Metrics].into_iter().any(|signal| decide(signal, variable) == Ok(true))
}

/// How often metrics are exported. The SDK reads the same variable.
pub(crate) fn metric_interval() -> Duration {
    let milliseconds = variable("OTEL_METRIC_EXPORT_INTERVAL").and_then(|value| value.parse().ok());
    milliseconds.filter(|length| *length > 0).map_or(Duration::from_secs(60), Duration::from_millis)
}

fn decide(signal: Signal, variable: impl Fn(&str) -> Option<String>) -> Result<bool, String> {
    let part = signal.variable_part();
    let own_or_general = |name: &str| {
        let names = [format!("OTEL_EXPORTER_OTLP_{part}_{name}"), format!("OTEL_EXPORTER_OTLP_{name}")];
        names.into_iter().find_map(|name| variable(&name).map(|value| (name, value)))
    };
    if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(false);
    }
    let exporter = format!("OTEL_{part}_EXPORTER");
    match variable(&exporter).as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(false),
        Some(other) => return Err(format!("{exporter}={other} isn't supported; use otlp or none")),
    }
    let Some((name, endpoint)) = own_or_general("ENDPOINT") else { return Ok(false) };
    if !endpoint.starts_with("http://") {
        return Err(format!("{name}={endpoint} isn't supported; use an address that begins with http://"));
    }
    match own_or_general("PROTOCOL") {
        Some((name, protocol)) if protocol != "http/protobuf" => {
            Err(format!("{name}={protocol} isn't supported; use http/protobuf and its port, which usually is 4318"))
        }
        _ => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(signal: Signal, variables: &[(&str, &str)]) -> Result<bool, String> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        decide(signal, find)
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

    #[test]
    fn nothing_is_exported_without_an_endpoint() {
        assert_eq!(decided(Signal::Traces, &[]), Ok(false));
        assert_eq!(decided(Signal::Traces, &[ENDPOINT]), Ok(true));
        let only_metrics = [("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://collector:4318/v1/metrics")];
        assert_eq!(decided(Signal::Metrics, &only_metrics), Ok(true));
        assert_eq!(decided(Signal::Traces, &only_metrics), Ok(false));
    }

    #[test]
    fn a_signal_can_be_turned_off() {
        assert_eq!(decided(Signal::Traces, &[ENDPOINT, ("OTEL_SDK_DISABLED", "True")]), Ok(false));
        let off = [ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")];
        assert_eq!((decided(Signal::Traces, &off), decided(Signal::Metrics, &off)), (Ok(false), Ok(true)));
    }

    #[test]
    fn an_unsupported_value_is_named() {
        for wrong in [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_TRACES_EXPORTER", "zipkin")] {
            let problem = decided(Signal::Traces, &[ENDPOINT, wrong]).unwrap_err();
            assert!(problem.contains(wrong.0) && problem.contains(wrong.1), "{problem}");
        }
        let problem = decided(Signal::Traces, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector")]).unwrap_err();
        assert!(problem.contains("http://"), "{problem}");
    }
}
