/*
 * spool.hpp - a list of chunks of text that is written once and read by
 * several sockets at their own pace.
 *
 * Snapshots and long catch-ups go through here: what exceeds a small part in
 * memory lies in an unnamed temporary file, so that a thousand clients that
 * read slowly cost disk, not memory. The file vanishes with the last reader.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tw::gateway
{

class Spool
{
  public:
	/* directory: of the temporary file; memory: bytes kept without one. */
	Spool(std::string directory, size_t memory) : directory_(std::move(directory)), memory_(memory)
	{
	}
	~Spool();
	Spool(const Spool &) = delete;
	Spool &operator=(const Spool &) = delete;

	/* Adds an item (a row or change); items of one chunk are joined by commas. Throws on I/O errors. */
	void add(std::string_view item);
	/* No item comes after this; there is at least one chunk, which may be empty. */
	void finish();

	size_t chunks() const { return chunks_.size(); }
	size_t items() const { return items_; }
	uint64_t bytes() const { return total_; }
	/* Appends chunk i to *out. Throws on I/O errors. */
	void read(size_t i, std::string *out) const;

  private:
	struct Chunk
	{
		uint64_t offset; /* in memory first, then in the file */
		uint32_t size;
		bool in_file;
	};

	void end_chunk();

	std::string directory_;
	size_t memory_;
	std::string current_;
	std::string kept_;
	std::vector<Chunk> chunks_;
	uint64_t file_size_ = 0;
	uint64_t total_ = 0;
	size_t items_ = 0;
	int fd_ = -1;
};

/* A chunk is ended before it exceeds this; one larger item is a chunk of its own. */
constexpr size_t kChunkSize = 250 * 1024;

} // namespace tw::gateway
