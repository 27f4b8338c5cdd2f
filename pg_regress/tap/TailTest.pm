# A client of the wire protocol that does exactly what a test says, and no more:
# drivers differ in which messages they send, psql 15 has no extended protocol.
package TailTest;

use strict;
use warnings;
use IO::Socket::UNIX;

# TailTest->connect($node): a session of the superuser in database postgres.
sub connect
{
	my ($class, $node) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port)
	  or die "cannot connect: $!";
	my $self = bless { socket => $socket }, $class;
	my $user = (getpwuid($<))[0];
	my $startup = pack('N', 196608) . "user\0$user\0database\0postgres\0\0";

	$socket->syswrite(pack('N', length($startup) + 4) . $startup);
	$self->until_ready;
	return $self;
}

sub send
{
	my ($self, $type, $body) = @_;
	$self->{socket}->syswrite($type . pack('N', length($body) + 4) . $body);
}

sub read_bytes
{
	my ($self, $n) = @_;
	my $buffer = '';

	while (length($buffer) < $n)
	{
		my $got = $self->{socket}->sysread($buffer, $n - length($buffer), length($buffer));
		die 'connection lost' unless $got;
	}
	return $buffer;
}

# The next message: type and body.
sub receive
{
	my ($self) = @_;
	my ($type, $length) = unpack('aN', $self->read_bytes(5));

	return ($type, $self->read_bytes($length - 4));
}

# Everything up to ReadyForQuery, as one line per message in a readable form.
sub until_ready
{
	my ($self) = @_;
	my @lines;

	while (1)
	{
		my ($type, $body) = $self->receive;
		return @lines if $type eq 'Z';
		push @lines, describe($type, $body);
	}
}

sub describe
{
	my ($type, $body) = @_;

	if ($type eq 'T')
	{
		my ($n) = unpack('n', $body);
		my $at = 2;
		my @columns;
		for (1 .. $n)
		{
			my $end = index($body, "\0", $at);
			my $name = substr($body, $at, $end - $at);
			my ($oid) = unpack('N', substr($body, $end + 7, 4));
			push @columns, "$name:$oid";
			$at = $end + 19;
		}
		return 'columns ' . join(' ', @columns);
	}
	if ($type eq 'D')
	{
		my ($n) = unpack('n', $body);
		my $at = 2;
		my @values;
		for (1 .. $n)
		{
			my $length = unpack('l>', substr($body, $at, 4));
			push @values, $length < 0 ? 'null' : substr($body, $at + 4, $length);
			$at += 4 + ($length < 0 ? 0 : $length);
		}
		return 'row ' . join('|', @values);
	}
	return "error $1" if $type eq 'E' && $body =~ /\0C(\w{5})\0/;
	return 'tag ' . substr($body, 0, -1) if $type eq 'C';
	return "copy $body" if $type eq 'd';
	return $type;
}

# Simple protocol.
sub query
{
	my ($self, $text) = @_;
	$self->send('Q', "$text\0");
	return $self->until_ready;
}

# Extended protocol: Parse, Bind, Describe the portal, Execute, Sync; parameters as text.
sub extended
{
	my ($self, $text, @params) = @_;
	$self->send('P', "\0$text\0" . pack('n', 0));
	$self->send('B', "\0\0" . pack('n', 0) . pack('n', scalar @params)
		. join('', map { pack('N', length) . $_ } @params) . pack('n', 0));
	$self->send('D', "P\0");
	$self->send('E', "\0" . pack('N', 0));
	$self->send('S', '');
	return grep { $_ !~ /^[12SNK]$/ } $self->until_ready;
}

sub close
{
	my ($self) = @_;
	$self->{socket}->close;
}

1;
