import Recurrent

/// Pairs of a source and its translation, which the program itself makes.
enum TranslateTask: String, CaseIterable, Sendable {
  /// Days from 1950 to 2049, written in one of many ways, into ISO 8601: "tue, 3rd of march '98" is 1998-03-03.
  case dates
  /// Numbers below a million in words, into digits: "twelve thousand and five" is 12005.
  case numbers

  struct Pair: Sendable {
    let source: String
    let target: String
  }

  /// The characters of translations. A decoder has two more symbols: the start and the end.
  static let targetCharacters = Array("0123456789-")
  static let start = targetCharacters.count
  static let end = targetCharacters.count + 1

  /// The characters of sources.
  static let sourceCharacters = Array("abcdefghijklmnopqrstuvwxyz0123456789 ,.'-/")

  /// The numbers of a source's characters.
  static func symbols(ofSource text: String) -> [Int] { text.map { sourceCharacters.firstIndex(of: $0) ?? 0 } }
  /// The numbers of a translation's characters.
  static func symbols(ofTarget text: String) -> [Int] { text.map { targetCharacters.firstIndex(of: $0) ?? 0 } }
  /// The characters of the symbols that a decoder wrote.
  static func text(_ symbols: [Int]) -> String { String(symbols.map { $0 < start ? targetCharacters[$0] : "?" }) }

  /// The number of different things that can be written.
  var things: Int { self == .dates ? Day.count : 1_000_000 }
  /// The largest number of symbols in a translation, the end symbol included.
  var longest: Int { self == .dates ? 11 : 7 }

  /// Pairs to train on, and others that are held out. No day and no number is in both.
  ///
  /// - Parameters:
  ///   - count: the number of pairs to train on. A day may come again, written in another way.
  ///   - heldOut: the number of pairs that are held out, at most half of the things.
  static func pairs(
    _ task: TranslateTask, count: Int, heldOut: Int, using random: inout SeededGenerator
  ) -> (training: [Pair], heldOut: [Pair]) {
    var kept: Set<Int> = []
    let test = (0..<heldOut).map { _ in
      var thing = Int.random(in: 0..<task.things, using: &random)
      while !kept.insert(thing).inserted { thing = Int.random(in: 0..<task.things, using: &random) }
      return task.pair(thing, using: &random)
    }
    let training = (0..<count).map { _ in
      var thing = Int.random(in: 0..<task.things, using: &random)
      while kept.contains(thing) { thing = Int.random(in: 0..<task.things, using: &random) }
      return task.pair(thing, using: &random)
    }
    return (training, test)
  }

  private func pair(_ thing: Int, using random: inout SeededGenerator) -> Pair {
    switch self {
    case .dates:
      let day = Day(number: thing)
      return Pair(source: day.written(way: Int.random(in: 0..<Day.ways, using: &random)), target: day.iso)
    case .numbers: return Pair(source: numberWords(thing), target: "\(thing)")
    }
  }
}

/// A day from 1950-01-01 to 2049-12-31.
struct Day: Sendable {
  let year: Int
  /// 1 to 12
  let month: Int
  /// 1 to 31
  let day: Int
  /// 0 for Monday.
  let weekday: Int

  static let count = (1950..<2050).reduce(0) { $0 + (isLeap($1) ? 366 : 365) }

  private static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

  /// - Parameter number: the number of days since 1950-01-01, which was a Sunday.
  init(number: Int) {
    var rest = number, year = 1950, month = 1
    while rest >= (Day.isLeap(year) ? 366 : 365) {
      rest -= Day.isLeap(year) ? 366 : 365
      year += 1
    }
    func days(_ month: Int) -> Int {
      month == 2 ? (Day.isLeap(year) ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
    }
    while rest >= days(month) {
      rest -= days(month)
      month += 1
    }
    (self.year, self.month, day, weekday) = (year, month, rest + 1, (number + 6) % 7)
  }

  private static func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

  /// Such as 1998-03-03.
  var iso: String { "\(year)-\(Day.twoDigits(month))-\(Day.twoDigits(day))" }

  private static let months = [
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
  ]
  private static let weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

  /// The number of ways of writing a day.
  static let ways = 12

  /// The day as people write it. The two digits of a short year are those of 1950 to 2049.
  func written(way: Int) -> String {
    let name = Day.months[month - 1], short = String(name.prefix(3)), weekday = Day.weekdays[weekday]
    let shortYear = "'\(Day.twoDigits(year % 100))"
    switch way {
    case 0: return "\(day) \(name) \(year)"
    case 1: return "\(name) \(day), \(year)"
    case 2: return "\(ordinal) of \(name) \(year)"
    case 3: return "\(weekday.prefix(3)), \(day) \(short) \(year)"
    case 4: return "\(weekday), \(name) \(ordinal), \(year)"
    case 5: return "\(day).\(month).\(year)"  // the day first
    case 6: return "\(month)/\(day)/\(year)"  // the month first
    case 7: return "\(Day.twoDigits(day))-\(short)-\(Day.twoDigits(year % 100))"
    case 8: return "\(short) \(day) \(shortYear)"
    case 9: return "\(weekday.prefix(3)), \(ordinal) of \(name) \(shortYear)"
    case 10: return "\(year), \(name) the \(ordinal)"
    default: return "the \(ordinalWord(day)) of \(name) \(year)"
    }
  }

  /// Such as 3rd.
  private var ordinal: String {
    let isTeen = (11...13).contains(day)
    return "\(day)" + (isTeen ? "th" : day % 10 == 1 ? "st" : day % 10 == 2 ? "nd" : day % 10 == 3 ? "rd" : "th")
  }
}

private let small = [
  "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
  "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]
private let tens = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
private let smallOrdinals = [
  "", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
  "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth",
]

/// "thirty-first" of 31; numbers up to 39.
private func ordinalWord(_ number: Int) -> String {
  if number < 20 { return smallOrdinals[number] }
  if number % 10 == 0 { return String(tens[number / 10].dropLast()) + "ieth" }
  return "\(tens[number / 10])-\(smallOrdinals[number % 10])"
}

/// "one hundred and two thousand and five" of 102005; numbers below a million.
func numberWords(_ number: Int) -> String {
  switch number {
  case ..<20: return small[number]
  case ..<100: return tens[number / 10] + (number % 10 == 0 ? "" : "-\(small[number % 10])")
  case ..<1000:
    return "\(small[number / 100]) hundred" + (number % 100 == 0 ? "" : " and \(numberWords(number % 100))")
  default:
    let rest = number % 1000
    return "\(numberWords(number / 1000)) thousand"
      + (rest == 0 ? "" : (rest < 100 ? " and " : " ") + numberWords(rest))
  }
}
