//! Figures that stand somewhere else: they are read when somebody scrapes.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Values with the labels that tell them apart.
type Read = Box<dyn Fn() -> Vec<(Option<&'static str>, f64)> + Send + Sync>;

/// A figure and how it is read.
pub struct Figure {
    name: &'static str,
    help: &'static str,
    /// The name of the label, if there is one.
    label: Option<&'static str>,
    counts: bool,
    read: Read,
}

impl Figure {
    /// A value that goes up and down; `None` where it cannot be read now.
    pub fn gauge(
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> Option<f64> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            help,
            label: None,
            counts: false,
            read: Box::new(move || read().map(|value| (None, value)).into_iter().collect()),
        }
    }

    /// A value that only grows; its name is given without `_total`.
    pub fn counter(
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "the format has no other numbers, and none is that large"
        )]
        let read = move || Some(read() as f64);
        Self {
            counts: true,
            ..Self::gauge(name, help, read)
        }
    }

    /// Values that go up and down, one for each value of `label`.
    pub fn gauges(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        read: impl Fn() -> Vec<(&'static str, f64)> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            help,
            label: Some(label),
            counts: false,
            read: Box::new(move || {
                read()
                    .into_iter()
                    .map(|(value, figure)| (Some(value), figure))
                    .collect()
            }),
        }
    }

    fn encode(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let values = (self.read)();
        if values.is_empty() {
            return Ok(());
        }
        let kind = if self.counts {
            ConstCounter::new(0_f64).metric_type()
        } else {
            ConstGauge::new(0_f64).metric_type()
        };
        let mut metric = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        for (label, value) in values {
            match (self.label, label) {
                (Some(name), Some(label)) => {
                    let labels = [(name, label)];
                    let family = metric.encode_family(&labels)?;
                    ConstGauge::new(value).encode(family)?;
                }
                _ if self.counts => return ConstCounter::new(value).encode(metric),
                _ => return ConstGauge::new(value).encode(metric),
            }
        }
        Ok(())
    }
}

/// Several of them.
pub(super) struct Figures(Vec<Figure>);

impl Figures {
    pub(super) fn new(figures: Vec<Figure>) -> Self {
        Self(figures)
    }
}

impl fmt::Debug for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.0.iter().map(|figure| figure.name))
            .finish()
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.0.iter().try_for_each(|figure| figure.encode(&mut encoder))
    }
}
