/** @file trace.cpp
 *  See trace.hpp.
 */
#include "host/base/trace.hpp"

#include <fstream>

#include "host/base/error.hpp"
#include "host/json/writer.hpp"

namespace vlm {
namespace {

double microseconds(Trace::Clock::duration duration) {
    return std::chrono::duration<double, std::micro>(duration).count();
}

}  // namespace

void Trace::add(const std::string& name, Clock::time_point begin, Clock::time_point end) {
    const std::scoped_lock lock(mutex_);
    events_.push_back({name, microseconds(begin - origin_), microseconds(end - begin), 0});
}

void Trace::count(const std::string& name, double value) {
    const std::scoped_lock lock(mutex_);
    events_.push_back({name, microseconds(Clock::now() - origin_), -1, value});
}

void Trace::append(const Trace& other) {
    const std::scoped_lock lock(mutex_, other.mutex_);
    const double shift = microseconds(other.origin_ - origin_);
    for (auto event : other.events_) {
        event.begin_us += shift;
        events_.push_back(std::move(event));
    }
}

std::map<std::string, double> Trace::totals_ms() const {
    const std::scoped_lock lock(mutex_);
    std::map<std::string, double> totals;
    for (const auto& event : events_)
        if (event.duration_us >= 0) totals[event.name] += event.duration_us / 1000.0;
    return totals;
}

void Trace::write_chrome(const std::filesystem::path& path) const {
    json::Writer writer;
    writer.begin_object().key("traceEvents").begin_array();
    const std::scoped_lock lock(mutex_);
    for (const auto& event : events_) {
        const bool counter = event.duration_us < 0;
        writer.begin_object().member("name", event.name).member("ph", counter ? "C" : "X").member("ts", event.begin_us);
        writer.member("pid", 1).member("tid", 1);
        if (counter)
            writer.key("args").begin_object().member("value", event.value).end_object();
        else
            writer.member("dur", event.duration_us);
        writer.end_object();
    }
    writer.end_array().end_object();
    std::ofstream file(path, std::ios::binary);
    file << writer.take() << '\n';
    if (!file.flush()) throw invalid_argument(path.string() + ": the trace cannot be written here");
}

}  // namespace vlm
