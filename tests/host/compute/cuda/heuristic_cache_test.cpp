/** @file heuristic_cache_test.cpp
 *  The file of chosen algorithms: kept, and never trusted.
 */
#include "host/compute/cuda/heuristic_cache.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace vlm::cuda {
namespace {

namespace fs = std::filesystem;

class HeuristicCacheFile : public testing::Test {
  protected:
    HeuristicCacheFile() { fs::remove_all(file_.parent_path()); }
    static Algorithm algorithm(uint64_t seed) {
        Algorithm a;
        for (size_t i = 0; i < a.words.size(); ++i) a.words[i] = seed * (i + 1) * 0x9E3779B97F4A7C15u;
        a.workspace_bytes = static_cast<int64_t>(seed) * 1000;
        return a;
    }
    const fs::path file_ =
        fs::path(testing::TempDir()) /
        ("heuristics_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name())) / "some-gpu.txt";
};

TEST_F(HeuristicCacheFile, IsReadBack) {
    {
        HeuristicCache cache(file_, "GPU A, version 1");
        cache.put("1 2 3", algorithm(5));
        cache.put("4 5 6", algorithm(7));
        cache.put("1 2 3", algorithm(9));
        cache.save();
    }
    const HeuristicCache again(file_, "GPU A, version 1");
    EXPECT_EQ(again.find("1 2 3"), algorithm(9));
    EXPECT_EQ(again.find("4 5 6"), algorithm(7));
    EXPECT_FALSE(again.find("1 2"));
    EXPECT_EQ(std::distance(fs::directory_iterator(file_.parent_path()), fs::directory_iterator()), 1);
}

TEST_F(HeuristicCacheFile, OfAnotherKindIsEmpty) {
    {
        HeuristicCache cache(file_, "GPU A, version 1");
        cache.put("k", algorithm(1));
        cache.save();
    }
    EXPECT_FALSE(HeuristicCache(file_, "GPU A, version 2").find("k"));
    EXPECT_FALSE(HeuristicCache(file_, "GPU B, version 1").find("k"));
}

TEST_F(HeuristicCacheFile, DamagedLinesAreSkipped) {
    {
        HeuristicCache cache(file_, "GPU");
        cache.put("good", algorithm(3));
        cache.save();
    }
    std::ofstream(file_, std::ios::app) << "no tabulator\n"
                                        << "short\t1 2 3\n"
                                        << "long\t0 1 2 3 4 5 6 7 8 9\n"
                                        << "words\tx y\n"
                                        << "greedy\tffffffffff 1 2 3 4 5 6 7 8\n";
    const HeuristicCache cache(file_, "GPU");
    EXPECT_TRUE(cache.find("good"));
    for (const char* key : {"no tabulator", "short", "long", "words", "greedy"}) EXPECT_FALSE(cache.find(key)) << key;
}

TEST_F(HeuristicCacheFile, ThatCannotBeWrittenIsDoneWithout) {
    fs::create_directories(file_.parent_path());
    std::ofstream(file_.parent_path() / "blocked") << "a file where a folder would have to be";
    HeuristicCache cache(file_.parent_path() / "blocked" / "x.txt", "GPU");
    cache.put("k", algorithm(1));
    cache.save();
    EXPECT_TRUE(cache.find("k"));
    HeuristicCache nowhere({}, "GPU");
    nowhere.put("k", algorithm(1));
    nowhere.save();
    EXPECT_TRUE(nowhere.find("k"));
}

}  // namespace
}  // namespace vlm::cuda
