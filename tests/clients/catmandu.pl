# Everything that one search of Catmandu::Importer::SRU brings, as JSON lines:
# perl catmandu.pl BASE QUERY SCHEMA PARSER VERSION
use strict;
use warnings;
use Catmandu::Importer::SRU;
use Cpanel::JSON::XS;

my ($base, $query, $schema, $parser, $version) = @ARGV;
utf8::decode($query);
my $importer = Catmandu::Importer::SRU->new(
    base => $base, query => $query, recordSchema => $schema, parser => $parser,
    version => $version, limit => 2,
);
my $json = Cpanel::JSON::XS->new->utf8->canonical->allow_blessed->convert_blessed;
$importer->each(sub { print $json->encode($_[0]), "\n" });
