#!/usr/bin/perl
# A session of Perl ZOOM with the sample catalogue: zoom.pl HOST:PORT
use strict;
use warnings;
use utf8;
use ZOOM;

binmode STDOUT, ':utf8';
$| = 1;

my $peer = shift @ARGV or die "usage: zoom.pl HOST:PORT\n";

sub connected {
    my ( $database, %options ) = @_;
    my $options = ZOOM::Options->new();
    $options->option( user                => 'demo1' );
    $options->option( password            => 'demo1' );
    $options->option( charset             => 'UTF-8' );
    $options->option( elementSetName      => 'F' );
    $options->option( $_ => $options{$_} ) for keys %options;
    my $connection = ZOOM::Connection->create($options);
    $connection->connect("$peer/$database");
    return $connection;
}

# One line that says what a call did: its result, or the exception it threw.
sub told {
    my ( $what, $call ) = @_;
    my @result = eval { $call->() };
    if ( my $fault = $@ ) {
        if ( ref $fault && $fault->isa('ZOOM::Exception') ) {
            my $more = $fault->addinfo();
            utf8::decode($more);
            @result = sprintf 'error %s %d %s (%s)',
              $fault->diagset(), $fault->code(), $fault->message(), $more;
        }
        else { @result = "died: $fault" }
    }
    print "$what: @result\n";
    return;
}

sub octets { my ($text) = @_; utf8::encode($text); return $text; }

sub field {
    my ( $record, $tag ) = @_;
    my $text = $record->render('charset=utf-8,utf-8');
    utf8::decode($text);
    return $text =~ /^$tag ?(.*)$/m ? $1 : "no $tag in $text";
}

# Connect
my $western = connected('we_cat');
told( 'server', sub { $western->option('serverImplementationId') } );
told( 'wrong password', sub { connected( 'we_cat', password => 'wrong' ); 'accepted' } );

# Search by PQF, records in each syntax, a set used again
my $found = $western->search_pqf('@attr 1=1003 @attr 4=1 "knuth, donald"');
told( 'pqf hits', sub { $found->size() } );
for my $syntax ( 'usmarc', 'xml', 'sutrs', 'grs-1', 'opac' ) {
    $found->option( preferredRecordSyntax => $syntax );
    told( "as $syntax", sub {
        my $record = $found->record(0);
        my $raw = $record->get('raw') // $record->render();
        return $raw =~ /(LMW\d{7})/ ? $1 : "no control number in $raw";
    } );
}
$found->option( preferredRecordSyntax => 'usmarc' );
told( 'titles', sub {
    my $records = $found->records( 0, $found->size(), 1 );
    return join '; ', map { field( $_, '245' ) } @$records;
} );
told( 'past the end', sub { defined $found->record(1000) ? 'a record' : 'nothing' } );

# Sort the set that is there
told( 'sorted by date', sub {
    my $status = $found->sort( 'yaz', '1=31 >i' );
    $found->cache_reset();
    return ( $status, map { field( $found->record($_), '001' ) } 0 .. $found->size() - 1 );
} );

# A set as an operand
my $name = $found->option('setname');
told( 'set named', sub { defined $name ? 'yes' : 'no' } );
told( 'within the set',
    sub { $western->search_pqf("\@and \@set $name \@attr 1=4 sorting")->size() } );

# Refused
told( 'unsupported use', sub { $western->search_pqf('@attr 1=9999 x')->size() } );
told( 'unknown database', sub { connected('nowhere')->search_pqf('@attr 1=4 x')->size() } );

# CQL in a query of type 104, and turned into RPN
told( 'cql hits',
    sub { $western->search( ZOOM::Query::CQL->new('dc.creator=knuth and dc.title=art') )->size() } );

# Scan
told( 'scan', sub {
    my $terms = $western->scan_pqf('@attr 1=1003 knuth');
    return join '; ', map { join ' ', $terms->term($_) } 0 .. 2;
} );
told( 'scan size', sub {
    $western->option( number => 5 );
    return $western->scan_pqf('@attr 1=4 algorithms')->size();
} );

# Chinese, in UNIMARC and in XML
my $chinese = connected( 'ancient', preferredRecordSyntax => 'unimarc' );
my $set = $chinese->search_pqf( octets('@attr 1=4 夢溪筆談') );
told( 'chinese hits', sub { $set->size() } );
told( 'unimarc title', sub { field( $set->record(0), '200' ) } );
$set->option( preferredRecordSyntax => 'xml' );
told( 'xml title', sub {
    my $raw = $set->record(0)->get('raw');
    utf8::decode($raw);
    return $raw =~ /tag="200".*?code="a">([^<]+)</s ? $1 : $raw;
} );
$set->option( preferredRecordSyntax => 'usmarc' );
told( 'asked as usmarc', sub {
    my $record = $set->record(0);
    return $record->error() ? join ' ', $record->error() : 'a record';
} );
$set->destroy();

# Extended services: refused, and the session goes on
told( 'item order', sub {
    my $package = $western->package();
    $package->option( doc => '1' );
    $package->send('itemorder');
    return 'sent';
} );
told( 'still there', sub { $western->search_pqf('@attr 1=4 ulysses')->size() } );

$western->destroy();
$chinese->destroy();
