import Foundation

/// log(exp(a) + exp(b))
func logSum(_ a: Double, _ b: Double) -> Double {
  let largest = max(a, b)
  // NaN and -∞ stay what they are.
  guard largest > -.infinity, !a.isNaN, !b.isNaN else { return a.isNaN || b.isNaN ? .nan : largest }
  return largest + log1p(exp(min(a, b) - largest))
}

/// The logarithms of the probabilities of classes, in double precision.
func logSoftmax(_ logits: some Collection<Float>) -> [Double] {
  let largest = Double(logits.max() ?? 0), logTotal = log(logits.reduce(0.0) { $0 + exp(Double($1) - largest) })
  return logits.map { Double($0) - largest - logTotal }
}
