/** @file math_inl.hpp
 *  Exponential, tanh and erf over vectors, and the activations made of them.
 *
 *  The library's functions work on one number at a time and would take longer than the product in front of them.
 * Polynomials: exp by reduction to |r| <= ln(2) / 2 and a Taylor polynomial of degree 7; erf and tanh are the minimax
 * approximations of Norbert Juffa (public domain), below 1.1 ulp. Included once per instruction set, behind `Vec`.
 */

namespace {

using F = Vec::F;

inline F set(float x) {
    return Vec::set(x);
}

/** e^x, within 2 ulp; 0 below -104, infinity above 88.8; NaN stays. */
inline F exp_vec(F x) {
    x = Vec::min(set(89.0f), Vec::max(set(-105.0f), x));
    const F n = Vec::round(Vec::mul(x, set(1.44269504088896341f)));
    F r = Vec::fma(n, set(-0.693359375f), x);
    r = Vec::fma(n, set(2.12194440e-4f), r);
    F p = set(1.0f / 5040);
    p = Vec::fma(p, r, set(1.0f / 720));
    p = Vec::fma(p, r, set(1.0f / 120));
    p = Vec::fma(p, r, set(1.0f / 24));
    p = Vec::fma(p, r, set(1.0f / 6));
    p = Vec::fma(p, r, set(0.5f));
    p = Vec::fma(p, r, set(1.0f));
    p = Vec::fma(p, r, set(1.0f));
    // Two factors, since 2^n alone leaves the range for results near zero (denormal) or infinity.
    const F half = Vec::round(Vec::mul(n, set(0.5f)));
    return Vec::mul(Vec::mul(p, Vec::pow2(half)), Vec::pow2(Vec::sub(n, half)));
}

inline F erf_vec(F x) {
    const F t = Vec::abs(x), s = Vec::mul(x, x);
    F r = Vec::fma(set(-1.72853470e-5f), t, set(3.83197126e-4f));
    const F u = Vec::fma(set(-3.88396438e-3f), t, set(2.42546219e-2f));
    r = Vec::fma(r, s, u);
    r = Vec::fma(r, t, set(-1.06777877e-1f));
    r = Vec::fma(r, t, set(-6.34846687e-1f));
    r = Vec::fma(r, t, set(-1.28717512e-1f));
    r = Vec::fma(r, t, Vec::sub(set(0.0f), t));
    const F far = Vec::copysign(Vec::sub(set(1.0f), exp_vec(r)), x);
    F q = set(-5.96761703e-4f);
    q = Vec::fma(q, s, set(4.99119423e-3f));
    q = Vec::fma(q, s, set(-2.67681349e-2f));
    q = Vec::fma(q, s, set(1.12819925e-1f));
    q = Vec::fma(q, s, set(-3.76125336e-1f));
    q = Vec::fma(q, s, set(1.28379166e-1f));
    const F near = Vec::fma(q, x, x);
    return Vec::select_less(set(0.927734375f), t, far, near);
}

inline F tanh_vec(F x) {
    const F t = Vec::abs(x), s = Vec::mul(x, x);
    const F e = exp_vec(Vec::add(t, t));
    const F far = Vec::copysign(Vec::sub(set(1.0f), Vec::div(set(2.0f), Vec::add(e, set(1.0f)))), x);
    F q = set(1.57394409e-2f);
    q = Vec::fma(q, s, set(-5.23025580e-2f));
    q = Vec::fma(q, s, set(1.33152470e-1f));
    q = Vec::fma(q, s, set(-3.33327681e-1f));
    const F near = Vec::fma(Vec::mul(q, s), x, x);
    return Vec::select_less(set(0.55f), t, far, near);
}

inline F sigmoid_vec(F x) {
    return Vec::div(set(1.0f), Vec::add(set(1.0f), exp_vec(Vec::sub(set(0.0f), x))));
}

/** One activation; `act` is the same for the whole row, so the branch is predicted. */
inline F activate(uint32_t act, F x) {
    switch (act) {
        case VLM_ACT_RELU:
            return Vec::max(set(0.0f), x);
        case VLM_ACT_GELU: {
            const F erf = erf_vec(Vec::mul(x, set(0.70710678118654752f)));
            return Vec::mul(Vec::mul(set(0.5f), x), Vec::add(set(1.0f), erf));
        }
        case VLM_ACT_GELU_TANH: {
            const F cube = Vec::mul(Vec::mul(x, x), x);
            const F inner = Vec::mul(set(0.79788456080286536f), Vec::fma(set(0.044715f), cube, x));
            return Vec::mul(Vec::mul(set(0.5f), x), Vec::add(set(1.0f), tanh_vec(inner)));
        }
        case VLM_ACT_QUICK_GELU:
            return Vec::mul(x, sigmoid_vec(Vec::mul(set(1.702f), x)));
        case VLM_ACT_SILU:
            return Vec::mul(x, sigmoid_vec(x));
        case VLM_ACT_RELU2: {
            const F positive = Vec::max(set(0.0f), x);
            return Vec::mul(positive, positive);
        }
        case VLM_ACT_TANH:
            return tanh_vec(x);
        case VLM_ACT_SIGMOID:
            return sigmoid_vec(x);
        default:
            return x;
    }
}

}  // namespace
