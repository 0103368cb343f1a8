//! Draws plots of growing cost.

use plotters::prelude::*;
use pynenc::Error;

/// One measurement at every size.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) values: Vec<f64>,
}

/// The content of a plot. Each line is relative to its first value, so that constant cost is a horizontal line.
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) axis: &'static str,
    pub(crate) sizes: &'static [usize],
    pub(crate) lines: Vec<Line>,
}

const SIZE: (u32, u32) = (720, 400);
const COLOURS: [RGBColor; 3] = [RGBColor(31, 119, 180), RGBColor(214, 96, 20), RGBColor(44, 140, 60)];
const TEXT: (&str, i32) = ("sans-serif", 14);

/// Draws a plot into a file.
pub(crate) fn draw(path: &str, plot: &Plot) -> Result<(), Error> {
    drawn(path, plot).map_err(|error| Error::other(format!("can't draw {path}: {error}")))
}

fn drawn(path: &str, plot: &Plot) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let shares = plot.lines.iter().flat_map(|line| line.values.iter().map(|value| share(line, *value)));
    let top = shares.fold(120.0, f64::max) * 1.1;
    let last = plot.sizes.len() as f64 - 1.0;
    let mut chart = ChartBuilder::on(&root)
        .caption(&plot.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(-0.3..last + 0.7, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(plot.sizes.len() * 2 + 1)
        .x_label_formatter(&|position| size_at(plot.sizes, *position))
        .y_label_formatter(&|share| format!("{share:.0} %"))
        .x_desc(plot.axis)
        .y_desc("of the first")
        .label_style(TEXT)
        .draw()?;
    for (line, colour) in plot.lines.iter().zip(COLOURS) {
        let points: Vec<_> =
            line.values.iter().enumerate().map(|(position, value)| (position as f64, *value)).collect();
        let at = |(position, value): (f64, f64)| (position, share(line, value));
        chart
            .draw_series(LineSeries::new(points.iter().copied().map(at), colour.stroke_width(2)))?
            .label(format!("{}, {}", line.name, line.unit))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(points.iter().map(|point| {
            let text = Text::new(format!("{:.0}", point.1), (6, -16), TEXT.into_font().color(&colour));
            EmptyElement::at(at(*point)) + Circle::new((0, 0), 4, colour.filled()) + text
        }))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .label_font(TEXT)
        .draw()?;
    root.present()?;
    Ok(())
}

fn share(line: &Line, value: f64) -> f64 {
    100.0 * value / line.values[0]
}

/// The label at a position of the axis. Only whole positions have one.
fn size_at(sizes: &[usize], position: f64) -> String {
    let nearest = position.round();
    let is_whole = (position - nearest).abs() < 0.01 && nearest >= 0.0;
    let size = if is_whole { sizes.get(nearest as usize) } else { None };
    size.map(ToString::to_string).unwrap_or_default()
}
