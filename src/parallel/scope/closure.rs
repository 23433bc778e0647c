//! The closures that a scope accepts: without an argument, or with an ignored one.
#![forbid(unsafe_code)]

use super::Scope;

/// A closure for [`Scope::spawn`]: `|| ..`, or `|_| ..` as used with other crates' scopes.
///
/// `M` says which of the two it is, and is inferred. The type of an argument that is used cannot be
/// inferred: to spawn more, let the closure capture the scope.
#[diagnostic::on_unimplemented(
    message = "a scope can't spawn this",
    label = "expected a closure without an argument; to spawn more it can capture the scope",
    note = "write `|| ..`, or `|_| ..` as other crates' scopes do"
)]
pub trait ScopedClosure<'scope, 'env: 'scope, M> {
    /// The closure's return type.
    type Output;

    /// Calls the closure.
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
