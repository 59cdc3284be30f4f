// SPDX-License-Identifier: Apache-2.0
#include "client/dataset.h"

#include <gtest/gtest.h>

#include "client/image_files.h"
#include "client/temporary_folder.h"

namespace tacit::client {
namespace {

namespace fs = std::filesystem;
using test::png;

// IDX bytes: dimensions, then content.
Bytes idx(std::initializer_list<std::uint32_t> dimensions, ByteView content) {
  Bytes bytes{0, 0, 8, static_cast<std::uint8_t>(dimensions.size())};
  for (std::uint32_t size : dimensions) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(size >> shift));
  }
  bytes.insert(bytes.end(), content.begin(), content.end());
  return bytes;
}

const std::vector<std::string> kAnimals{"cat", "dog", "emu"};

class Dataset : public testing::Test {
 protected:
  // Three images of 2x2 whose pixels are their numbers, labels 2, 0, 1.
  void write_idx(const std::string& prefix) {
    folder_.write(prefix + "-images-idx3-ubyte", idx({3, 2, 2}, Bytes{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2}));
    folder_.write(prefix + "-labels-idx1-ubyte", idx({3}, Bytes{2, 0, 1}));
  }
  void write_image(const fs::path& name, std::uint8_t pixel) {
    folder_.write(name, png(1, 1, 1, Bytes{pixel}));
  }
  Result<std::vector<LabelledImage>> load(const fs::path& path, std::size_t count,
                                          const fs::path& labels = {}, int channels = 1) {
    return load_dataset({folder_.path() / path, labels}, kAnimals, 3, channels, count);
  }
  ErrorCode error_of(const fs::path& path, std::size_t count) { return load(path, count).error().code; }

  test::TemporaryFolder folder_;
};

TEST_F(Dataset, TheLabelsAreLookedForBesideTheImages) {
  EXPECT_EQ(labels_beside("d/t10k-images-idx3-ubyte.gz"),
            (std::vector<fs::path>{"d/t10k-labels-idx1-ubyte.gz", "d/t10k-labels-idx1-ubyte"}));
  EXPECT_EQ(labels_beside("my-images"), (std::vector<fs::path>{"my-labels", "my-labels.gz"}));
  EXPECT_TRUE(labels_beside("pixels").empty());
}

TEST_F(Dataset, ReadsTheFirstOfAnIdxFile) {
  write_idx("t10k");
  for (std::size_t count : {1, 2, 3, 0}) {
    auto images = load("t10k-images-idx3-ubyte", count);
    ASSERT_TRUE(images.ok()) << images.error().message;
    ASSERT_EQ(images->size(), count == 0 ? 3 : count);
    for (std::size_t i = 0; i < images->size(); ++i) {
      EXPECT_EQ((*images)[i].label, (std::vector<std::size_t>{2, 0, 1})[i]);
      EXPECT_EQ((*images)[i].image.pixels, Bytes(4, static_cast<std::uint8_t>(i)));
      EXPECT_EQ((*images)[i].image.width, 2);
    }
  }
  auto colour = load("t10k-images-idx3-ubyte", 2, {}, 3);
  ASSERT_TRUE(colour.ok());
  EXPECT_EQ((*colour)[1].image.pixels, Bytes(12, 1));
}

TEST_F(Dataset, AFolderOfIdxFilesMeansTheTestSet) {
  write_idx("train");
  EXPECT_EQ(load("", 1)->front().name, "train-images-idx3-ubyte[0]");
  write_idx("t10k");
  EXPECT_EQ(load("", 1)->front().name, "t10k-images-idx3-ubyte[0]");
}

TEST_F(Dataset, OtherLabelsCanBeNamed) {
  folder_.write("pixels", idx({1, 1, 1}, Bytes{9}));
  auto images = load("pixels", 0);
  ASSERT_FALSE(images.ok());
  EXPECT_EQ(images.error().code, ErrorCode::kFileNotFound);
  EXPECT_NE(images.error().message.find("--labels"), std::string::npos);
  fs::path labels = folder_.write("other", idx({1}, Bytes{1}));
  EXPECT_EQ(load("pixels", 0, labels)->front().label, 1u);
}

TEST_F(Dataset, IdxFilesThatDoNotFitAreRefused) {
  folder_.write("a-images", idx({2, 1, 1}, Bytes{1, 2}));
  folder_.write("a-labels", idx({3}, Bytes{0, 1, 2}));
  EXPECT_EQ(error_of("a-images", 0), ErrorCode::kDatasetInvalid) << "three labels for two images";
  folder_.write("b-images", idx({1, 1, 1}, Bytes{1}));
  folder_.write("b-labels", idx({1}, Bytes{3}));
  EXPECT_EQ(error_of("b-images", 0), ErrorCode::kDatasetInvalid) << "a label beyond the outputs";
  folder_.write("c-images", idx({0, 1, 1}, Bytes{}));
  folder_.write("c-labels", idx({0}, Bytes{}));
  EXPECT_EQ(error_of("c-images", 0), ErrorCode::kDatasetInvalid) << "nothing in it";
  write_idx("t10k");
  EXPECT_EQ(error_of("t10k-images-idx3-ubyte", 4), ErrorCode::kDatasetInvalid) << "more than there are";
  EXPECT_EQ(error_of("t10k-images", 1), ErrorCode::kFileNotFound);
}

TEST_F(Dataset, SubfoldersAreTakenInTurnsOfLabelOrder) {
  write_image("set/dog/b.png", 21);
  write_image("set/dog/a.png", 20);
  write_image("set/cat/x.png", 10);
  write_image("set/2/y.png", 30);
  write_image("set/.hidden/z.png", 99);
  folder_.write("set/dog/.thumbnail", Bytes{1});
  auto images = load("set", 0);
  ASSERT_TRUE(images.ok()) << images.error().message;
  std::vector<std::pair<int, std::size_t>> seen;
  for (const LabelledImage& one : *images) seen.emplace_back(one.image.pixels.front(), one.label);
  EXPECT_EQ(seen, (std::vector<std::pair<int, std::size_t>>{{10, 0}, {20, 1}, {30, 2}, {21, 1}}));
  EXPECT_EQ(load("set", 2)->size(), 2u);
  EXPECT_EQ(load("set", 2)->back().label, 1u);
  EXPECT_EQ(error_of("set", 5), ErrorCode::kDatasetInvalid);
}

TEST_F(Dataset, ImagesAreReadWithWhateverLabelsThereAre) {
  const auto read = [&](const fs::path& path, std::size_t count, const fs::path& labels = {}) {
    std::vector<std::pair<int, std::string>> seen;
    auto images = load_images({folder_.path() / path, labels}, 1, count);
    EXPECT_TRUE(images.ok()) << images.error().message;
    if (images.ok())
      for (const NamedImage& one : *images) seen.emplace_back(one.image.pixels.front(), one.label);
    return seen;
  };
  using Seen = std::vector<std::pair<int, std::string>>;
  write_idx("t10k");
  EXPECT_EQ(read("t10k-images-idx3-ubyte", 0), (Seen{{0, "2"}, {1, "0"}, {2, "1"}}));
  EXPECT_EQ(read("", 2), (Seen{{0, "2"}, {1, "0"}})) << "the folder's IDX file";
  folder_.write("pixels", idx({2, 1, 1}, Bytes{7, 8}));
  EXPECT_EQ(read("pixels", 0), (Seen{{7, ""}, {8, ""}})) << "no labels";
  const fs::path labels = folder_.write("numbers", idx({2}, Bytes{200, 3}));
  EXPECT_EQ(read("pixels", 0, labels), (Seen{{7, "200"}, {8, "3"}})) << "numbers beyond any model's outputs";
  write_image("plain/b.png", 2);
  write_image("plain/a.png", 1);
  EXPECT_EQ(read("plain", 0), (Seen{{1, ""}, {2, ""}}));
  write_image("set/zebra/1.png", 3);
  write_image("set/any name/1.png", 4);
  write_image("set/any name/2.png", 5);
  EXPECT_EQ(read("set", 0), (Seen{{4, "any name"}, {3, "zebra"}, {5, "any name"}}));
}

TEST_F(Dataset, ImagesThatAreNotThereAreRefused) {
  const auto error_in = [&](const fs::path& path, std::size_t count) {
    return load_images({folder_.path() / path, {}}, 1, count).error().code;
  };
  EXPECT_EQ(error_in("nosuch", 0), ErrorCode::kFileNotFound);
  fs::create_directories(folder_.path() / "nothing");
  EXPECT_EQ(error_in("nothing", 0), ErrorCode::kDatasetInvalid);
  write_image("plain/a.png", 1);
  EXPECT_EQ(error_in("plain", 2), ErrorCode::kDatasetInvalid) << "more than there are";
  EXPECT_EQ(error_in("plain/a.png", 0), ErrorCode::kDataMalformed) << "a file that is not IDX";
  folder_.write("plain/b.txt", Bytes{1, 2, 3});
  EXPECT_EQ(error_in("plain", 0), ErrorCode::kImageMalformed);
  folder_.write("a-images", idx({1, 1, 1}, Bytes{1}));
  folder_.write("a-labels", idx({2}, Bytes{0, 1}));
  EXPECT_EQ(error_in("a-images", 0), ErrorCode::kDatasetInvalid) << "two labels for one image";
}

TEST_F(Dataset, SubfoldersThatAreNoLabelsAreRefused) {
  for (const char* name : {"cow", "3", "-1", "1x"}) {
    test::TemporaryFolder other;
    other.write(fs::path(name) / "a.png", png(1, 1, 1, Bytes{1}));
    auto images = load_dataset({other.path(), {}}, kAnimals, 3, 1, 0);
    ASSERT_FALSE(images.ok()) << name;
    EXPECT_EQ(images.error().code, ErrorCode::kDatasetInvalid);
    EXPECT_NE(images.error().message.find(name), std::string::npos);
  }
  fs::create_directories(folder_.path() / "empty" / "cat");
  EXPECT_EQ(error_of("empty", 0), ErrorCode::kDatasetInvalid);
  fs::create_directories(folder_.path() / "nothing");
  EXPECT_EQ(error_of("nothing", 0), ErrorCode::kDatasetInvalid);
  folder_.write("broken/cat/a.png", Bytes{1, 2, 3});
  EXPECT_EQ(error_of("broken", 0), ErrorCode::kImageMalformed);
}

}  // namespace
}  // namespace tacit::client
