import CRecurrentKernels

/// A matrix in 8 bits, with a scale for each row, as a layer with weights in int8 rounds it. Files hold it so.
package struct QuantizedMatrix {
  /// [rows][columns], -127 to 127
  package let numbers: [Int8]
  /// [rows]: what a number of the row counts. NaN if the row has an infinity or a NaN.
  package let scales: [Float]

  /// - Parameter values: [rows][columns]
  package init(_ values: [Float], rows: Int, columns: Int) {
    // A panel of one unit: where its sum starts, its scale, then the numbers.
    let kernels = rounded_kernels_for(.int8, .portable)
    var panel = [Float](repeating: 0, count: rounded_unit_words(kernels, columns))
    var numbers: [Int8] = [], scales: [Float] = []
    numbers.reserveCapacity(rows * columns)
    for row in 0..<rows {
      values.withUnsafeBufferPointer { values in
        panel.withUnsafeMutableBufferPointer { panel in
          int8_pack_panel(kernels, panel.baseAddress!, 1, values.baseAddress! + row * columns, 1, columns)
        }
      }
      scales.append(panel[1])
      panel.withUnsafeBytes { numbers += $0[8..<8 + columns].map { Int8(bitPattern: $0) } }
    }
    self.numbers = numbers
    self.scales = scales
  }
}
