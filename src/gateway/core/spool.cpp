/*
 * spool.cpp - chunks of text, in memory and then in an unnamed temporary file.
 */
#include "gateway/core/spool.hpp"
#include "base/error.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tw::gateway
{

[[noreturn]] static void
io_error(const char *what)
{
	int saved = errno;

	throw tw::Error(saved == ENOSPC ? "53100" : "58030",
					std::string("could not ") + what +
						" temporary file of the gateway: " + std::strerror(saved));
}

Spool::~Spool()
{
	if (fd_ >= 0)
		close(fd_);
}

void
Spool::add(std::string_view item)
{
	if (!current_.empty() && current_.size() + item.size() + 1 > kChunkSize)
		end_chunk();
	if (!current_.empty())
		current_ += ',';
	current_ += item;
	items_++;
}

void
Spool::finish()
{
	if (!current_.empty() || chunks_.empty())
		end_chunk();
	current_.shrink_to_fit();
	kept_.shrink_to_fit();
}

void
Spool::end_chunk()
{
	bool in_file = kept_.size() + current_.size() > memory_;
	Chunk chunk{in_file ? file_size_ : kept_.size(), static_cast<uint32_t>(current_.size()),
				in_file};

	if (!in_file)
		kept_ += current_;
	else
	{
		if (fd_ < 0)
		{
			mkdir(directory_.c_str(), 0700); /* the server makes it when it first needs it */
			fd_ = open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
			if (fd_ < 0)
				io_error("create");
		}
		for (size_t done = 0; done < current_.size();)
		{
			ssize_t n = pwrite(fd_, current_.data() + done, current_.size() - done,
							   static_cast<off_t>(file_size_ + done));

			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0)
				io_error("write to");
			done += static_cast<size_t>(n);
		}
		file_size_ += current_.size();
	}
	total_ += current_.size();
	chunks_.push_back(chunk);
	current_.clear();
}

void
Spool::read(size_t i, std::string *out) const
{
	const Chunk &chunk = chunks_[i];

	if (!chunk.in_file)
	{
		out->append(kept_, chunk.offset, chunk.size);
		return;
	}
	size_t start = out->size();
	out->resize(start + chunk.size);
	for (size_t done = 0; done < chunk.size;)
	{
		ssize_t n = pread(fd_, &(*out)[start + done], chunk.size - done,
						  static_cast<off_t>(chunk.offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			io_error("read");
		done += static_cast<size_t>(n);
	}
}

} // namespace tw::gateway
