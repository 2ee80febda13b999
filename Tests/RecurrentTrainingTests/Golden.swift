import Foundation
import Recurrent
import RecurrentFiles
import Testing

/// What PyTorch gave in double precision (Tests/goldens_training.py).
func golden(_ file: String) throws -> [String: [Double]] {
  let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Goldens")
  let tensors = try SafeTensors(contentsOf: folder.appendingPathComponent("\(file).safetensors").path).tensors
  return tensors.mapValues { $0.doubles ?? [] }
}

extension SeededGenerator {
  /// Uniform in [-1, 1), in steps of 2^-23, as Tests/goldens.py draws them.
  mutating func draw(_ count: Int) -> [Double] { (0..<count).map { _ in Double(next() >> 40) / 8_388_608 - 1 } }
}

/// The largest difference of two arrays; infinite if their counts differ or a number is NaN.
func largestDifference(_ ours: [Double], _ expected: [Double]) -> Double {
  guard ours.count == expected.count else { return .infinity }
  return zip(ours, expected).reduce(0) { largest, pair in
    let difference = abs(pair.0 - pair.1)
    return difference.isNaN ? .infinity : max(largest, difference)
  }
}
