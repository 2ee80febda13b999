/// The element in the middle, by some value of each; the lower one of an even count, so that it is one of them.
///
/// - Parameters:
///   - elements: at least one. Of those with equal values, the first ones come first.
///   - value: what they are ordered by, not NaN.
func median<Element>(_ elements: [Element], by value: (Element) -> Double) -> Element {
  let values = elements.map(value)
  let order = elements.indices.sorted { (values[$0], $0) < (values[$1], $1) }
  return elements[order[(order.count - 1) / 2]]
}

/// The median of some values; the lower one of an even count.
func median(_ values: [Double]) -> Double { median(values) { $0 } }
