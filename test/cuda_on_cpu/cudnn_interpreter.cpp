/** libcudnn: computes graphs on the CPU, heads of attention and clips of a convolution one by one. */
#include <algorithm>
#include <cmath>

#include "cudnn.h"

#pragma GCC push_options
#pragma GCC optimize("O3")

namespace cuda_on_cpu::cudnn {
namespace {

float rounded(Element element, float value) {
  uint16_t narrow;
  if (element == Element::FLOAT32) return value;
  store(&narrow, element, 0, value);
  return load(&narrow, element, 0);
}

/** A matrix [rows, columns] of a head, one row after the other. */
struct Head {
  int64_t rows, columns;
  std::vector<float> values;

  Matrix matrix() const { return {values.data(), Element::FLOAT32, columns, 1}; }
  Matrix transposed() const { return {values.data(), Element::FLOAT32, 1, columns}; }
};

/** a·b, or a·bᵀ. */
Head product(const Head &a, const Head &b, bool transposes_b = false) {
  const int64_t columns = transposes_b ? b.rows : b.columns;
  Head c{a.rows, columns, std::vector<float>((size_t)(a.rows * columns))};
  // The transposed product, whose columns are the rows of c.
  const Matrix factor = transposes_b ? b.matrix() : b.transposed();
  multiply(columns, a.rows, a.columns, factor, a.transposed(), Rounding::NONE, c.values.data());
  return c;
}

/** Runs the operations on one head of one clip. */
class HeadRun {
 public:
  HeadRun(const Graph &graph, const Bindings &bindings, int64_t clip, int64_t head)
      : graph_(graph), bindings_(bindings), clip_(clip), head_(head) {}

  void run() {
    for (const Operation &operation : graph_.operations) run(operation);
  }

 private:
  void run(const Operation &operation) {
    const auto &ids = operation.tensors;
    switch (operation.kind) {
      case OPERATION_POINTWISE: return keep(ids.back(), pointwise(operation));
      case OPERATION_MATMUL: return keep(ids[2], product(value(ids[0]), value(ids[1])));
      case OPERATION_REDUCTION: return keep(ids[1], row_sums(value(ids[0])));
      case OPERATION_RESHAPE: return keep(ids[1], transposed(value(ids[0])));
      case OPERATION_SDPA_FWD: return attention(ids);
      default: refuse(STATUS_PATTERN, "a convolution among operations on matrices");
    }
  }

  /** Where a tensor's matrix of this head begins, in elements. */
  int64_t offset_of(const Tensor &tensor) const {
    const int64_t clip = tensor.dims[0] == 1 ? 0 : clip_, head = tensor.dims[1] == 1 ? 0 : head_;
    return clip * tensor.strides[0] + head * tensor.strides[1];
  }

  /** A matrix that was computed, or is read from memory. */
  const Head &value(int64_t id) {
    const auto known = values_.find(id);
    if (known != values_.end()) return known->second;
    const Tensor &tensor = graph_.tensors.at(id);
    Head read{tensor.dims[2], tensor.dims[3], std::vector<float>((size_t)(tensor.dims[2] * tensor.dims[3]))};
    if (tensor.is_by_value) read.values[0] = bindings_.scalars.at(id);
    else {
      const char *data = bindings_.addresses.at(id);
      const int64_t first = offset_of(tensor);
      for (int64_t r = 0; r < read.rows; r++) {
        for (int64_t c = 0; c < read.columns; c++) {
          const int64_t place = first + r * tensor.strides[2] + c * tensor.strides[3];
          read.values[(size_t)(r * read.columns + c)] = load(data, tensor.element, place);
        }
      }
    }
    return values_[id] = std::move(read);
  }

  /** Keeps a result, and writes it if it has a place in memory. */
  void keep(int64_t id, Head result) {
    const Tensor &tensor = graph_.tensors.at(id);
    for (float &x : result.values) x = rounded(tensor.element, x);
    if (!tensor.is_virtual) {
      char *data = bindings_.addresses.at(id);
      const int64_t first = offset_of(tensor);
      for (int64_t r = 0; r < result.rows; r++) {
        for (int64_t c = 0; c < result.columns; c++) {
          const int64_t place = first + r * tensor.strides[2] + c * tensor.strides[3];
          store(data, tensor.element, place, result.values[(size_t)(r * result.columns + c)]);
        }
      }
    }
    values_[id] = std::move(result);
  }

  Head pointwise(const Operation &operation) {
    const auto &ids = operation.tensors;
    const Tensor &y = graph_.tensors.at(ids.back());
    const Head &a = value(ids[0]), &b = value(ids[ids.size() > 2 ? 1 : 0]);
    Head result{y.dims[2], y.dims[3], std::vector<float>((size_t)(y.dims[2] * y.dims[3]))};
    const auto element = [](const Head &x, int64_t r, int64_t c) {
      return x.values[(size_t)((x.rows == 1 ? 0 : r) * x.columns + (x.columns == 1 ? 0 : c))];
    };
    for (int64_t r = 0; r < result.rows; r++) {
      for (int64_t c = 0; c < result.columns; c++) {
        const float left = element(a, r, c), right = element(b, r, c);
        float &place = result.values[(size_t)(r * result.columns + c)];
        if (operation.mode == MUL) place = left * right;
        else if (operation.mode == SUB) place = left - right;
        else place = operation.mode == EXP ? std::exp(left) : left;
      }
    }
    return result;
  }

  static Head row_sums(const Head &x) {
    Head sums{x.rows, 1, std::vector<float>((size_t)x.rows)};
    for (int64_t r = 0; r < x.rows; r++) {
      for (int64_t c = 0; c < x.columns; c++) sums.values[(size_t)r] += x.values[(size_t)(r * x.columns + c)];
    }
    return sums;
  }

  static Head transposed(const Head &x) {
    Head y{x.columns, x.rows, std::vector<float>(x.values.size())};
    for (int64_t r = 0; r < x.rows; r++) {
      for (int64_t c = 0; c < x.columns; c++) y.values[(size_t)(c * x.rows + r)] = x.values[(size_t)(r * x.columns + c)];
    }
    return y;
  }

  /** q, k, v, scale, o and statistics. Tensor cores take the exponentials in bfloat16, and rows are divided by their sums at last. */
  void attention(const std::vector<int64_t> &ids) {
    Head scores = product(value(ids[0]), value(ids[1]), true);
    const float scale = bindings_.scalars.at(ids[3]);
    Head statistics{scores.rows, 1, std::vector<float>((size_t)scores.rows)};
    std::vector<float> sums((size_t)scores.rows);
    for (int64_t r = 0; r < scores.rows; r++) {
      float *row = &scores.values[(size_t)(r * scores.columns)];
      const float largest = *std::max_element(row, row + scores.columns);
      for (int64_t c = 0; c < scores.columns; c++) {
        const float e = std::exp(scale * (row[c] - largest));
        sums[(size_t)r] += e;
        row[c] = rounded(Element::BFLOAT16, e);
      }
      statistics.values[(size_t)r] = scale * largest + std::log(sums[(size_t)r]);
    }
    Head o = product(scores, value(ids[2]));
    for (int64_t i = 0; i < (int64_t)o.values.size(); i++) o.values[(size_t)i] /= sums[(size_t)(i / o.columns)];
    keep(ids[4], std::move(o));
    keep(ids[5], std::move(statistics));
  }

  const Graph &graph_;
  const Bindings &bindings_;
  const int64_t clip_, head_;
  std::map<int64_t, Head> values_;
};

/** Reads or writes the elements [first axis][positions][second axis] of a tensor [first, second, T, H, W]. */
template <class Visit> void visit_clip(const Tensor &tensor, int64_t first, Visit visit) {
  const auto &dims = tensor.dims, &strides = tensor.strides;
  size_t i = 0;
  for (int64_t t = 0; t < dims[2]; t++) {
    for (int64_t h = 0; h < dims[3]; h++) {
      for (int64_t w = 0; w < dims[4]; w++) {
        const int64_t position = first * strides[0] + t * strides[2] + h * strides[3] + w * strides[4];
        for (int64_t c = 0; c < dims[1]; c++) visit(i++, position + c * strides[1]);
      }
    }
  }
}

/** A convolution of one clip after the other, as products with the neighbourhoods of output positions. */
class ConvolutionRun {
 public:
  ConvolutionRun(const Graph &graph, const Bindings &bindings, Rounding rounding)
      : graph_(graph), bindings_(bindings), rounding_(rounding), operation_(graph.operations[0]) {
    const auto &ids = operation_.tensors;
    const bool is_forward = operation_.kind == CONVOLUTION_FORWARD, is_data = operation_.kind == CONVOLUTION_BACKWARD_DATA;
    x_ = is_data ? ids[2] : ids[0];
    w_ = is_forward || is_data ? ids[1] : ids[2];
    y_ = is_forward ? ids[2] : is_data ? ids[0] : ids[1];
    const Tensor &w = tensor(w_), &y = tensor(y_);
    taps_ = w.dims[2] * w.dims[3] * w.dims[4];
    depth_ = taps_ * w.dims[1];
    positions_ = y.dims[2] * y.dims[3] * y.dims[4];
  }

  void run() {
    std::vector<float> weight((size_t)(tensor(w_).dims[0] * depth_));
    if (operation_.kind == CONVOLUTION_BACKWARD_FILTER) {
      for (int64_t clip = 0; clip < tensor(x_).dims[0]; clip++) add_filter(clip, weight);
      for (int64_t o = 0; o < tensor(w_).dims[0]; o++) write(w_, o, &weight[(size_t)(o * depth_)]);
      return;
    }
    for (int64_t o = 0; o < tensor(w_).dims[0]; o++) read(w_, o, &weight[(size_t)(o * depth_)]);
    for (int64_t clip = 0; clip < tensor(x_).dims[0]; clip++) {
      if (operation_.kind == CONVOLUTION_FORWARD) forward(clip, weight);
      else backward(clip, weight);
    }
  }

 private:
  const Tensor &tensor(int64_t id) const { return graph_.tensors.at(id); }
  int64_t clip_size(int64_t id) const { return tensor(id).size() / tensor(id).dims[0]; }

  void read(int64_t id, int64_t first, float *values) const {
    const char *data = bindings_.addresses.at(id);
    const Element element = tensor(id).element;
    visit_clip(tensor(id), first, [&](size_t i, int64_t place) { values[i] = load(data, element, place); });
  }

  void write(int64_t id, int64_t first, const float *values) const {
    char *data = bindings_.addresses.at(id);
    const Element element = tensor(id).element;
    visit_clip(tensor(id), first, [&](size_t i, int64_t place) { store(data, element, place, values[i]); });
  }

  /** Calls visit(column of the neighbourhoods, position of x) for all channels of each pair that exists. */
  template <class Visit> void visit_neighbours(Visit visit) const {
    const auto &x = tensor(x_).dims, &w = tensor(w_).dims, &y = tensor(y_).dims;
    for (int64_t position = 0; position < positions_; position++) {
      const int64_t out[3] = {position / (y[3] * y[4]), position / y[4] % y[3], position % y[4]};
      for (int64_t tap = 0; tap < taps_; tap++) {
        const int64_t in[3] = {tap / (w[3] * w[4]), tap / w[4] % w[3], tap % w[4]};
        int64_t place = 0;
        bool is_inside = true;
        for (size_t axis = 0; axis < 3; axis++) {
          const int64_t i = out[axis] * operation_.stride[axis] - operation_.padding[axis] + in[axis];
          is_inside = is_inside && i >= 0 && i < x[2 + axis];
          place = place * x[2 + axis] + i;
        }
        if (is_inside) visit(position * depth_ + tap * w[1], place * w[1]);
      }
    }
  }

  /** [positions, taps, channels] of a clip, zero outside of the map. */
  std::vector<float> neighbourhoods(int64_t clip) const {
    std::vector<float> x((size_t)clip_size(x_)), columns((size_t)(positions_ * depth_));
    read(x_, clip, x.data());
    const int64_t channels = tensor(x_).dims[1];
    visit_neighbours([&](int64_t column, int64_t place) { std::copy_n(&x[(size_t)place], channels, &columns[(size_t)column]); });
    return columns;
  }

  void forward(int64_t clip, const std::vector<float> &weight) const {
    const std::vector<float> columns = neighbourhoods(clip);
    const int64_t channels = tensor(y_).dims[1];
    std::vector<float> y((size_t)(positions_ * channels));
    multiply(channels, positions_, depth_, {weight.data(), Element::FLOAT32, depth_, 1},
             {columns.data(), Element::FLOAT32, 1, depth_}, rounding_, y.data());
    write(y_, clip, y.data());
  }

  void backward(int64_t clip, const std::vector<float> &weight) const {
    const int64_t channels = tensor(y_).dims[1];
    std::vector<float> dy((size_t)(positions_ * channels)), columns((size_t)(positions_ * depth_)), dx((size_t)clip_size(x_));
    read(y_, clip, dy.data());
    multiply(depth_, positions_, channels, {weight.data(), Element::FLOAT32, 1, depth_},
             {dy.data(), Element::FLOAT32, 1, channels}, rounding_, columns.data());
    const int64_t inputs = tensor(x_).dims[1];
    visit_neighbours([&](int64_t column, int64_t place) {
      for (int64_t c = 0; c < inputs; c++) dx[(size_t)(place + c)] += columns[(size_t)(column + c)];
    });
    write(x_, clip, dx.data());
  }

  void add_filter(int64_t clip, std::vector<float> &dweight) const {
    const int64_t channels = tensor(y_).dims[1];
    const std::vector<float> columns = neighbourhoods(clip);
    std::vector<float> dy((size_t)(positions_ * channels)), part(dweight.size());
    read(y_, clip, dy.data());
    multiply(depth_, channels, positions_, {columns.data(), Element::FLOAT32, 1, depth_},
             {dy.data(), Element::FLOAT32, channels, 1}, rounding_, part.data());
    for (size_t i = 0; i < part.size(); i++) dweight[i] += part[i];
  }

  const Graph &graph_;
  const Bindings &bindings_;
  const Rounding rounding_;
  const Operation &operation_;
  int64_t x_, w_, y_, taps_, depth_, positions_;
};

}  // namespace

void run_graph(const Graph &graph, const Bindings &bindings, Rounding rounding) {
  if (graph.operations[0].padding.size() > 0) return ConvolutionRun(graph, bindings, rounding).run();
  int64_t clips = 1, heads = 1;
  for (const auto &[id, tensor] : graph.tensors) {
    clips = std::max(clips, tensor.dims[0]);
    heads = std::max(heads, tensor.dims[1]);
  }
  for (int64_t clip = 0; clip < clips; clip++) {
    for (int64_t head = 0; head < heads; head++) HeadRun(graph, bindings, clip, head).run();
  }
}

}  // namespace cuda_on_cpu::cudnn

#pragma GCC pop_options
