import Recurrent
import RecurrentTraining
import Testing

@Suite struct SeriesTests {
  /// Airline passengers of 1949 to 1960 in thousands a month (Box and Jenkins 1976).
  static let airline: [Float] = [
    112, 118, 132, 129, 121, 135, 148, 148, 136, 119, 104, 118,
    115, 126, 141, 135, 125, 149, 170, 170, 158, 133, 114, 140,
    145, 150, 178, 163, 172, 178, 199, 199, 184, 162, 146, 166,
    171, 180, 193, 181, 183, 218, 230, 242, 209, 191, 172, 194,
    196, 196, 236, 235, 229, 243, 264, 272, 237, 211, 180, 201,
    204, 188, 235, 227, 234, 264, 302, 293, 259, 229, 203, 229,
    242, 233, 267, 269, 270, 315, 364, 347, 312, 274, 237, 278,
    284, 277, 317, 313, 318, 374, 413, 405, 355, 306, 271, 306,
    315, 301, 356, 348, 355, 422, 465, 467, 404, 347, 305, 336,
    340, 318, 362, 348, 363, 435, 491, 505, 404, 359, 310, 337,
    360, 342, 406, 396, 420, 472, 548, 559, 463, 407, 362, 405,
    417, 391, 419, 461, 472, 535, 622, 606, 508, 461, 390, 432,
  ]

  // MARK: - Series

  @Test func aSeriesIsColumnsOfATable() throws {
    let table = try CSVTable("day,temp,rain\nmon,1.5,0\ntue,2.5,1\nwed,3,0.25\n", name: "t")
    let series = try Series(table, columns: ["rain", 1])
    #expect(series.names == ["rain", "temp"] && series.steps == 3 && series.size == 2)
    #expect(series.values == [0, 1.5, 1, 2.5, 0.25, 3] && series[2, 0] == 0.25 && series[1, 1] == 2.5)
    #expect(try Series(try CSVTable("1,2\n3,4\n", hasHeader: false), columns: [1]).names == ["1"])
    let (training, test) = try series.split(last: 1)
    #expect(training.values == [0, 1.5, 1, 2.5] && test.values == [0.25, 3] && test.names == series.names)
    for count in [0, 3, -1, .max] {
      expectError("last is \(count), expected 1 to 2, of a series of 3 steps") { try series.split(last: count) }
    }
  }

  @Test func holesAndWrongNumbersAreNamedByLine() throws {
    let table = try CSVTable("day,temp\nmon,1\n\"t\nue\",2\nwed,\nthu,3\n", name: "t")
    expectError("line 5, column 'temp' of t is empty, expected a finite number") {
      try Series(table, columns: ["temp"])
    }
    expectError("line 2, column 'day' of t is 'mon', expected a finite number") { try Series(table, columns: [0]) }
    expectError("t: column 'rain' does not exist, there are: day, temp") { try Series(table, columns: ["rain"]) }
    expectError("columns is 0, expected at least 1") { try Series(table, columns: []) }
    expectError("t is without rows under its header, expected a row for each time step") {
      try Series(try CSVTable("day,temp\n", name: "t"), columns: ["temp"])
    }
    expectError("step 1, column 'b' of the series is nan, expected a finite number") {
      try Series([1, 2, 3, .nan], names: ["a", "b"])
    }
    expectError("values has 3 values, expected steps·names = 2") { try Series([1, 2, 3], names: ["a", "b"]) }
    expectError("steps is 0, expected at least 1") { try Series([]) }
    expectError("names is 0, expected at least 1") { try Series([1], names: []) }
  }

  // MARK: - Scaling

  @Test func scalingIsFittedToTheTrainingPart() throws {
    let series = try Series([1, 7, 3, 7, 5, 7, 11, 8], names: ["a", "b"])
    let training = try series.split(last: 1).training
    let standard = Scaling(fittedTo: training)
    #expect(standard.offsets == [3, 7] && standard.divisors == [(8.0 / 3).squareRoot(), 1])
    let deviation = Float((8.0 / 3).squareRoot())
    let scaled = try standard.scaled(series)
    let expected: [Float] = [-2 / deviation, 0, 0, 0, 2 / deviation, 0, 8 / deviation, 1]
    #expect(zip(scaled.values, expected).allSatisfy { abs($0 - $1) < 1e-6 } && scaled.names == series.names)

    let range = Scaling(fittedTo: training, method: .range)
    #expect(range.offsets == [1, 7] && range.divisors == [4, 1])
    #expect(try range.scaled(series).values == [0, 0, 0.5, 0, 1, 0, 2.5, 1])
    #expect(try range.restored([0, 0, 0.5, 0, 2.5, 1]) == [1, 7, 3, 7, 11, 8])
    #expect(try range.restored([0.5, 2.5, 0], columns: [0]) == [3, 11, 1])
    #expect(try range.restored([1, 0.5], columns: [1, 0]) == [8, 3])
    #expect(try Scaling(offsets: range.offsets, divisors: range.divisors) == range)
  }

  @Test func wrongScalingsAreRefused() throws {
    let scaling = try Scaling(offsets: [1, 2], divisors: [1e-30, 4])
    expectError("columns of the series is 1, expected 2, as in the scaling") { try scaling.scaled(try Series([1])) }
    expectError("step 0, column 'a' of the series is inf, expected a finite number") {
      try scaling.scaled(try Series([1e30, 2], names: ["a", "b"]))
    }
    expectError("values is 3, expected a multiple of the 2 columns") { try scaling.restored([1, 2, 3]) }
    expectError("columns[1] is 2, expected 0 to 1") { try scaling.restored([1, 2], columns: [0, 2]) }
    expectError("columns is 0, expected at least 1") { try scaling.restored([], columns: []) }
    expectError("divisors[0] is 0.0, expected a finite number other than 0") {
      try Scaling(offsets: [1], divisors: [0])
    }
    expectError("offsets[1] is nan, expected a finite number") { try Scaling(offsets: [1, .nan], divisors: [1, 1]) }
    expectError("divisors has 1 values, expected offsets = 2") { try Scaling(offsets: [1, 2], divisors: [1]) }
    expectError("offsets is 0, expected at least 1") { try Scaling(offsets: [], divisors: []) }
  }

  // MARK: - Windows

  @Test func windowsHaveInputsAndTargets() throws {
    let series = try Series((0..<10).flatMap { [Float($0), Float(100 + $0)] }, names: ["a", "b"])
    let next = try Windows(series, steps: 3)
    #expect(next.count == 7 && next.indices == 0..<7 && next.targetStep(of: 0) == 3 && next.targetStep(of: 6) == 9)
    let batch = try next.batch([6, 0])
    #expect(batch.inputs.steps == 3 && batch.inputs.batchSize == 2 && batch.inputs.size == 2)
    #expect(batch.inputs.values == [6, 106, 0, 100, 7, 107, 1, 101, 8, 108, 2, 102])
    #expect(batch.targets == [9, 109, 3, 103])

    let later = try Windows(series, steps: 2, horizon: 3, targetSteps: 2, targetColumns: [1], stride: 2)
    #expect(later.count == 3 && later.targetStep(of: 2) == 8)
    let all = try later.batch(later.indices)
    #expect(all.inputs.values == [0, 100, 2, 102, 4, 104, 1, 101, 3, 103, 5, 105])
    #expect(all.targets == [104, 105, 106, 107, 108, 109])
    #expect(try later.latestInputs().values == [8, 108, 9, 109] && later.latestInputs().batchSize == 1)
    #expect(try Windows(series, steps: 9).count == 1)

    expectError("window is 7, expected 0 to 6") { try next.batch([0, 7]) }
    expectError("window is -1, expected 0 to 6") { try next.batch([-1]) }
    expectError("batchSize is 0, expected at least 1") { try next.batch([]) }
    expectError("steps is 0, expected at least 1") { try Windows(series, steps: 0) }
    expectError("horizon is 0, expected at least 1") { try Windows(series, steps: 1, horizon: 0) }
    expectError("targetSteps is 0, expected at least 1") { try Windows(series, steps: 1, targetSteps: 0) }
    expectError("stride is -1, expected at least 1") { try Windows(series, steps: 1, stride: -1) }
    expectError("steps is \(Int.max), expected at most 10, the steps of the series") {
      try Windows(series, steps: .max)
    }
    expectError("targetColumns[0] is 2, expected 0 to 1") { try Windows(series, steps: 1, targetColumns: [2]) }
    expectError("targetColumns is 0, expected at least 1") { try Windows(series, steps: 1, targetColumns: []) }
    expectError(
      "steps of the series is 10, expected at least 11: inputs of 8, and targets of 1 that begin 3 after the last input"
    ) {
      try Windows(series, steps: 8, horizon: 3)
    }
    #expect(try Windows(series, steps: 1, stride: .max).count == 1)
  }

  @Test func testTargetsAreInTheLastSteps() throws {
    let series = try Series((0..<10).map { Float($0) })
    let (training, test) = try Windows(series, steps: 3).split(last: 2)
    #expect(try training.batch(training.indices).targets == [3, 4, 5, 6, 7])
    let batch = try test.batch(test.indices)
    #expect(batch.targets == [8, 9] && batch.inputs.values == [5, 6, 6, 7, 7, 8] && test.targetStep(of: 0) == 8)
    // A window with a target in each part is in none.
    let (before, after) = try Windows(series, steps: 2, targetSteps: 3).split(last: 4)
    #expect(try before.batch(before.indices).targets == [2, 3, 4, 3, 4, 5])
    #expect(try after.batch(after.indices).targets == [6, 7, 8, 7, 8, 9])
    // The training windows can be divided again, for validation.
    let (fitting, validation) = try training.split(last: 4)
    #expect(try fitting.batch(fitting.indices).targets == [3, 4, 5])
    #expect(try validation.batch(validation.indices).targets == [6, 7])
    for (count, before, after) in [(0, 7, 0), (7, 0, 7), (-1, 7, 0), (.max, 0, 7)] {
      expectError(
        "last is \(count), expected a number with windows before and in the last steps: of 7, \(before) are before them "
          + "and \(after) in them"
      ) { try Windows(series, steps: 3).split(last: count) }
    }
  }

  @Test func naiveForecastsAreEarlierValues() throws {
    let series = try Series((0..<12).flatMap { [Float($0), Float(100 + $0)] }, names: ["a", "b"])
    let windows = try Windows(series, steps: 6, horizon: 2, targetSteps: 3, targetColumns: [1])
    #expect(windows.count == 3)
    #expect(try windows.batch(windows.indices).targets == [107, 108, 109, 108, 109, 110, 109, 110, 111])
    #expect(windows.naiveForecasts() == [105, 105, 105, 106, 106, 106, 107, 107, 107])
    #expect(try windows.seasonalForecasts(season: 4) == [103, 104, 105, 104, 105, 106, 105, 106, 107])
    // A season that is shorter than the way to the target: as many as are needed.
    #expect(try windows.seasonalForecasts(season: 3) == [104, 105, 103, 105, 106, 104, 106, 107, 105])
    #expect(try windows.seasonalForecasts(season: 1) == windows.naiveForecasts())
    #expect(try windows.seasonalForecasts(season: 7) == [100, 101, 102, 101, 102, 103, 102, 103, 104])
    expectError("season is 8, expected a number that leads from step 7 back into the series") {
      try windows.seasonalForecasts(season: 8)
    }
    expectError("season is \(Int.max), expected a number that leads from step 7 back into the series") {
      try windows.seasonalForecasts(season: .max)
    }
    expectError("season is 0, expected at least 1") { try windows.seasonalForecasts(season: 0) }
  }

  @Test func airlinePassengersAgainstNaiveForecasts() throws {
    let rows = SeriesTests.airline.enumerated().map { "\"\(1949 + $0 / 12)-\($0 % 12 + 1)\",\(Int($1))\n" }
    let folder = try TemporaryFolder()
    let path = try folder.write("airline.csv", "\"Month\",\"Passengers\"\n" + rows.joined())

    // The documentation's example.
    let series = try Series(CSVTable(contentsOf: path), columns: ["Passengers"])
    let scaling = Scaling(fittedTo: try series.split(last: 24).training)
    let (training, test) = try Windows(scaling.scaled(series), steps: 12).split(last: 24)
    let batch = try training.batch(training.indices)  // inputs [12,N,1], targets [N,1]

    #expect(series.values == SeriesTests.airline && series.names == ["Passengers"])
    #expect(batch.inputs.steps == 12 && batch.inputs.batchSize == 108 && batch.targets.count == 108)

    let values = try test.batch(test.indices).targets
    #expect(try scaling.restored(values) == Array(SeriesTests.airline.suffix(24)))
    let naive = try ForecastErrors(scaling.restored(test.naiveForecasts()), of: scaling.restored(values))
    let seasonal = try ForecastErrors(
      scaling.restored(test.seasonalForecasts(season: 12)), of: scaling.restored(values))
    // As computed apart from the file, in Python.
    #expect(abs(naive.rootMeanSquared - 51.781994940326506) < 1e-9)
    #expect(abs(seasonal.rootMeanSquared - 49.98666488841466) < 1e-9)
    #expect(abs(seasonal.meanAbsolute - 47.583333333333336) < 1e-9)
  }

  @Test func errorsOfForecasts() throws {
    let errors = try ForecastErrors([1, 2, 3, 8], of: [1, 4, 3, 4])
    #expect(errors.rootMeanSquared == 5.0.squareRoot() && errors.meanAbsolute == 1.5)
    expectError("forecasts has 1 values, expected values = 2") { try ForecastErrors([1], of: [1, 2]) }
    expectError("values is 0, expected at least 1") { try ForecastErrors([], of: []) }
  }
}
