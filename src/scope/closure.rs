//! The closures that a scope takes: without an argument, or with the scope as one that they ignore.
#![forbid(unsafe_code)]

use super::Scope;

/// A closure for [`Scope::spawn`]: `|| ..`, or `|_| ..` as other crates' scopes write it.
///
/// `M` says which of the two it is; the compiler finds it out. What it can't find out is the type
/// of an argument that is used: to spawn more, let the closure capture the scope.
#[diagnostic::on_unimplemented(
    message = "a scope can't spawn this",
    label = "expected a closure without an argument; to spawn more it can capture the scope",
    note = "write `|| ..`, or `|_| ..` as other crates' scopes do"
)]
pub trait ScopedClosure<'scope, 'env: 'scope, M> {
    /// What it returns.
    type Output;

    /// Calls it.
    fn call(self, scope: &'scope Scope<'scope, 'env>) -> Self::Output;
}

impl<'scope, 'env: 'scope, F, R> ScopedClosure<'scope, 'env, ()> for F
where
    F: FnOnce() -> R,
{
    type Output = R;

    #[inline]
    fn call(self, _scope: &'scope Scope<'scope, 'env>) -> R {
        self()
    }
}

impl<'scope, 'env: 'scope, F, R> ScopedClosure<'scope, 'env, (&'scope (), &'env ())> for F
where
    F: FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    type Output = R;

    #[inline]
    fn call(self, scope: &'scope Scope<'scope, 'env>) -> R {
        self(scope)
    }
}
