/// The numbers that layers compute with: `Float` and `Double`.
///
/// Each scalar needs kernels of its own, so a conformance outside of the package does not help: a layer of such a
/// scalar throws an error.
public protocol RecurrentScalar: BinaryFloatingPoint, Sendable {}

extension Float: RecurrentScalar {}
extension Double: RecurrentScalar {}
