//! The submitter's span around a task, for users of `tracing`.
//!
//! With the feature `tracing` a task runs inside the span that its submitter was in, so what the
//! task records appears below that span. Without the feature nothing of this is compiled.
#![forbid(unsafe_code)]

/// Where a task was submitted.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

impl Caller {
    #[inline(always)]
    pub(crate) fn here() -> Self {
        Self {
            #[cfg(feature = "tracing")]
            span: tracing::Span::current(),
        }
    }

    #[inline(always)]
    pub(crate) fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        #[cfg(feature = "tracing")]
        return self.span.in_scope(work);
        #[cfg(not(feature = "tracing"))]
        work()
    }
}
