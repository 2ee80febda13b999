import Foundation
import Recurrent
import RecurrentTraining
import ToolSupport

/// A recurrent layer whose last output says the next remainder of a series.
typealias ForecastModel = Chain<Chain<Layer<Float>, LastOutput>, Dense>

/// Trains a model on the first part of a series and forecasts the last part, each value from those before it.
struct Forecaster: Sendable {
  struct Settings: Sendable {
    var cell = Cell.lstm()
    var hiddenSize = 16
    /// T: how many steps the model sees.
    var window = 24
    var epochs = 30
    var batchSize = 32
    var learningRate: Float = 0.003
    var weightDecay: Float = 0.1
  }

  /// What one training gives.
  struct Result: Sendable {
    /// Of each value of the last part.
    let forecasts: [Double]
    /// Of the value after the series.
    let next: Double
    /// The mean loss of each epoch.
    let losses: [Double]
  }

  let settings: Settings
  let preparation: Preparation
  /// The number of values that are only forecast.
  let testCount: Int
  private let values: [Double]
  private let scaling: Scaling
  private let training: Windows
  /// Nil if nothing is tested.
  private let test: Windows?

  /// - Throws: `ToolError` if the series is too short for the window, and `RecurrentError` if it is too short for every
  ///   window.
  init(_ values: [Double], season: Int, testCount: Int, settings: Settings) throws {
    self.settings = settings
    self.values = values
    self.testCount = testCount
    preparation = Preparation(values, testCount: testCount, season: season)
    let rows = try preparation.rows(values)
    let most = rows.steps - testCount - 1
    guard most < 1 || settings.window <= most else {
      throw ToolError(
        "--window is '\(settings.window)', expected \((1...most).expectation): the training part has "
          + "\(counted(most + 1, "step")), and the target of a window is the step after it")
    }
    let fitted = testCount > 0 ? try rows.split(last: testCount).training : rows
    scaling = Scaling(fittedTo: fitted)
    let windows = try Windows(try scaling.scaled(rows), steps: settings.window, targetColumns: [0])
    if testCount > 0 {
      let parts = try windows.split(last: testCount)
      (training, test) = (parts.training, parts.test)
    } else {
      (training, test) = (windows, nil)
    }
  }

  /// The number of values that a model is trained to forecast.
  var trainingCount: Int { training.count }

  /// The model before its training. Its corrections are zero.
  func model(seed: UInt64) throws(RecurrentError) -> ForecastModel {
    var head = try Dense(inputSize: settings.hiddenSize, outputSize: 1, seed: seed)
    head.weight = Array(repeating: 0, count: head.weight.count)
    head.bias = [0]
    let layer = try Layer<Float>(
      settings.cell, inputSize: training.series.size, hiddenSize: settings.hiddenSize,
      initialization: Initialization(seed: seed))
    return chain {
      Link("layer", layer)
      Link("last", LastOutput())
      Link("head", head)
    }
  }

  /// - Parameter progress: gets the fraction of the updates that are done.
  func run(seed: UInt64, progress: (Double) throws -> Void) throws -> Result {
    var batches = try ShuffledBatches(count: training.count, batchSize: settings.batchSize, seed: seed)
    let schedule = try CosineSchedule(rate: settings.learningRate, steps: settings.epochs * batches.count)
    var training = try ModelTraining(
      try model(seed: seed), AdamW(learningRate: settings.learningRate, weightDecay: settings.weightDecay),
      clipping: .norm(1))
    var losses: [Double] = []
    for epoch in 0..<settings.epochs {
      var sum = 0.0
      while let windows = batches.next() {
        let batch = try self.training.batch(windows)
        training.optimizer.learningRate = schedule.rate(atStep: training.updates)
        sum +=
          try training.update(batch.inputs) { output throws(RecurrentError) in
            try MeanSquaredError()(output, batch.targets)
          } * Double(windows.count)
        try progress((Double(epoch) + Double(batches.place.position) / Double(batches.count)) / Double(settings.epochs))
      }
      losses.append(sum / Double(self.training.count))
    }
    return Result(
      forecasts: try forecasts(training, test), next: try next(training), losses: losses)
  }

  /// The forecasts of the targets of some windows.
  private func forecasts(_ training: ModelTraining<ForecastModel, AdamW>, _ windows: Windows?) throws -> [Double] {
    guard let windows else { return [] }
    let output = try training.output(try windows.batch(windows.indices).inputs)
    return zip(windows.indices, try scaling.restored(output.values, columns: [0])).map { window, remainder in
      preparation.forecast(
        values, windows.targetStep(of: window) + preparation.lostSteps, remainder: Double(remainder))
    }
  }

  private func next(_ training: ModelTraining<ForecastModel, AdamW>) throws -> Double {
    let output = try training.output(try self.training.latestInputs())
    return preparation.forecast(
      values, values.count, remainder: Double(try scaling.restored(output.values, columns: [0])[0]))
  }
}
