/// The smallest number of elements to insert, delete or replace so that one list becomes another (Levenshtein 1966).
/// Divided by the number of labels that were spoken or written, it is the error rate of what a model recognized.
///
/// - Returns: 0 for equal lists; at most the count of the longer one.
public func editDistance<Element: Equatable>(_ first: [Element], _ second: [Element]) -> Int {
  // The distances between what was read of `first` so far and each prefix of `second`.
  var distances = Array(0...second.count)
  for (row, element) in first.enumerated() {
    var diagonal = distances[0]
    distances[0] = row + 1
    for (column, other) in second.enumerated() {
      let replaced = diagonal + (element == other ? 0 : 1)
      diagonal = distances[column + 1]
      distances[column + 1] = min(replaced, diagonal + 1, distances[column] + 1)
    }
  }
  return distances[second.count]
}
