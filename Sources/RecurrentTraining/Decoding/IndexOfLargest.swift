extension Collection where Element: Comparable {
  /// The place of the largest element, the first one of equal elements; the start of an empty collection. A
  /// NaN is no larger than anything.
  package var indexOfLargest: Index { indices.reduce(startIndex) { self[$1] > self[$0] ? $1 : $0 } }
}
